// What was said, on the page. The HTML of a finished text was made on the server, which escapes every character of it;
// a text that is still being written is only ever set as text.

import { Failed, get } from "../api.js";
import { count, say } from "../words.js";

const $ = (id) => document.getElementById(id);
const drawn = []; // the messages on the page, as [what was written, element]

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** All messages; those that are on the page already stay as they are, so that nothing jumps. */
export function drawMessages(messages) {
  let kept = 0;
  while (kept < drawn.length && kept < messages.length && drawn[kept][0] === keyOf(messages[kept])) kept += 1;
  for (const [, element] of drawn.splice(kept)) element.remove();
  for (let number = kept; number < messages.length; number += 1) {
    const message = messages[number];
    const turn = make("div", `turn ${message.role}`);
    turn.append(make("span", "unseen-text", say(message.role === "user" ? "chat_you" : "chat_model")));
    const text = make("div", "text");
    turn.append(text);
    fill(text, message, `message-${number}`);
    $("log").append(turn);
    drawn.push([keyOf(message), turn]);
  }
}

const keyOf = (message) => JSON.stringify([message.role, message.html ?? null, message.raw, message.length]);

/** A text as the server rendered it; without html, one that it has not seen yet. */
export function fill(element, view, place) {
  element.dir = "auto";
  if (view.html === undefined) return write(element, view.raw);
  const rendered = make("div", "rendered");
  rendered.innerHTML = view.html;
  element.replaceChildren(rendered);
  if (view.cut) element.append(more(element, view, place));
}

/** A text so far, as text. */
export function write(element, text) {
  let pre = element.firstElementChild;
  if (pre?.className !== "as-written") element.replaceChildren((pre = make("pre", "as-written")));
  pre.textContent = text.trimStart();
}

function more(element, view, place) {
  const button = make("button", "more", say("show_all", { n: count(view.length) }));
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { pieces } = await get(`/api/chat/texts/${place}`);
      element.replaceChildren(...pieces.map((piece) => make("pre", "piece", piece)));
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      button.disabled = false;
    }
  });
  return button;
}
