// Drawing one pair: the prompt with its turns, the two responses, raw or rendered, whole or cut.
//
// The HTML in a view was made on the server, which escapes every character of the text; raw text is set as text.

import { Failed, get } from "./api.js";
import { fold } from "./fold.js";
import { count, say } from "./words.js";

const TURNS_SHOWN = 3;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export class Pair {
  constructor() {
    this.raw = false;
    this.view = null;
    this.texts = [];
  }

  draw(view) {
    this.view = view;
    this.texts = [];
    this.drawPrompt(view);
    for (const place of ["left", "right"]) {
      this.fill(document.getElementById(`${place}-text`), view[place], place);
    }
    document.getElementById("responses").scrollLeft = 0;
    fold();
  }

  drawPrompt(view) {
    const messages = view.prompt.map((message, index) => ({ ...message, place: `prompt-${index}` }));
    const systems = messages.filter((message) => message.role === "system");
    const turns = messages.filter((message) => message.role !== "system");
    const parts = [];
    if (systems.length) parts.push(this.folded(say("system_message"), systems));
    if (turns.length > TURNS_SHOWN) {
      const earlier = turns.splice(0, turns.length - TURNS_SHOWN);
      parts.push(this.folded(`${say("earlier_turns")} (${earlier.length})`, earlier));
    }
    const alone = turns.length === 1 && messages.length === 1 && turns[0].role === "user";
    parts.push(...turns.map((message) => this.turn(message, !alone)));
    document.getElementById("prompt").replaceChildren(...parts);
  }

  folded(title, messages) {
    const details = make("details", "folded");
    details.append(make("summary", "", title));
    details.append(...messages.map((message) => this.turn(message, messages.length > 1 || message.role !== "system")));
    return details;
  }

  turn(message, named) {
    const turn = make("div", `turn ${message.role}`);
    if (named) turn.append(make("p", "role", say(`role_${message.role}`)));
    const text = make("div", "text");
    this.fill(text, message, message.place);
    turn.append(text);
    return turn;
  }

  fill(element, view, place) {
    this.texts.push([element, view, place]);
    element.dir = "auto";
    if (this.raw) {
      element.replaceChildren(make("pre", "as-written", view.raw));
    } else {
      const rendered = make("div", "rendered");
      rendered.innerHTML = view.html;
      element.replaceChildren(rendered);
    }
    if (view.cut) element.append(this.more(element, view, place));
  }

  more(element, view, place) {
    const button = make("button", "more", say("show_all", { n: count(view.length) }));
    button.type = "button";
    button.addEventListener("click", () => this.showAll(button, element, view, place));
    return button;
  }

  /** The whole text in pieces, one a frame: the browser lays out only those that are near the window. */
  async showAll(button, element, view, place) {
    button.disabled = true;
    const shown = this.view;
    try {
      const { pieces } = await get(`/api/assignments/${shown.id}/text/${place}`);
      if (this.view !== shown) return;
      element.replaceChildren(make("p", "quiet", say("showing_all", { n: count(view.length) })));
      const add = () => {
        if (this.view !== shown || !pieces.length) return;
        element.append(make("pre", "piece", pieces.shift()));
        requestAnimationFrame(add);
      };
      add();
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      button.disabled = false;
    }
  }

  toggleRaw() {
    this.raw = !this.raw;
    const texts = this.texts;
    this.texts = [];
    for (const [element, view, place] of texts) this.fill(element, view, place);
  }
}
