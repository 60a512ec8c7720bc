// The page of the chat: what the conversation waits for, and what the person can do about it.
//
// `talk` is the conversation as the server last told it. While a reply arrives, `arriving` holds its texts by place;
// when it has ended, the server tells the whole conversation again, and only that is shown.

import { Failed, get, newKey, post } from "../api.js";
import { actionOf } from "../keys.js";
import { counts, shownAnew } from "../press.js";
import { announce, showState } from "../status.js";
import { say } from "../words.js";
import { drawMessages, fill, write } from "./drawing.js";
import { readLines } from "./lines.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 500;
const RETRY_MS = 3000;

let talk = null;
let arriving = null;
let busy = false;
let choice = { key: "", spent: 0, since: 0 };

// ---- what is on screen

function show(next) {
  const before = talk;
  const follows = before === null || isAtEnd();
  talk = next;
  arriving = null;
  drawMessages(talk.messages);
  drawAnswers();
  if (talk.draft && !$("message").value) $("message").value = talk.draft;
  arrange(talk.state);
  if (before?.version !== talk.version) isAsking() ? askForChoice() : focusBox();
  if (follows) scrollToEnd();
  if (talk.state === "writing") setTimeout(poll, POLL_MS); // in another window, or before this page was loaded again
}

function drawAnswers() {
  const places = talk.left ? ["left", "right"] : [];
  placeAnswers(places);
  for (const place of places) fill($(`${place}-text`), talk[place], place);
}

function placeAnswers(places) {
  $("one").hidden = !places.includes("alone");
  $("two").hidden = !places.includes("left");
  for (const place of ["alone", "left", "right"]) $(`${place}-text`).replaceChildren();
}

function arrange(state) {
  document.body.dataset.view = state;
  const isWriting = state === "writing";
  $("hello").hidden = talk.messages.length > 0 || isWriting;
  $("open-new").hidden = talk.messages.length === 0 && !isWriting;
  $("now").hidden = state === "idle";
  $("now").setAttribute("aria-busy", String(isWriting));
  $("answers").hidden = !isAsking();
  $("choosing").hidden = state !== "choosing";
  $("picking").hidden = state !== "picking";
  $("composer").hidden = isAsking();
  $("message").readOnly = isWriting;
  $("send").hidden = isWriting;
  $("stop").hidden = !isWriting;
  $("stop").disabled = false;
}

const isAsking = () => talk.state === "choosing" || talk.state === "picking";

function askForChoice() {
  const key = talk.state === "choosing" ? "chat_two" : talk.is_voted ? "chat_both_bad" : "chat_stopped";
  $("asked").textContent = say(key);
  shownAnew(); // a key that was meant for the box must not become a choice
  choice = { key: newKey(), spent: 0, since: document.hidden ? 0 : performance.now() };
  $("answers").focus({ preventScroll: true });
  announce(say(key));
}

/** Where a keyboard is at hand; on a phone, the one on the screen would cover the answer. */
function focusBox() {
  if (matchMedia("(hover: hover)").matches) $("message").focus({ preventScroll: true });
}

/** To the end of the talk; where a choice is due and the answers are longer than the window, to where they begin. */
function scrollToEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
  if (isAsking() && $("two").getBoundingClientRect().top < 0) $("two").scrollIntoView({ block: "start" });
}

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
}

// ---- a reply

/** text: what the person says, or null for other answers in place of two that are not good. */
async function converse(text) {
  if (busy) return;
  busy = true;
  showState("");
  const version = talk.version;
  const said = text === null ? [] : [{ role: "user", raw: text, length: text.length }];
  talk = { ...talk, state: "writing", messages: [...talk.messages, ...said], left: null, right: null };
  drawMessages(talk.messages);
  placeAnswers([]);
  arrange("writing");
  shownAnew({ isOwn: true }); // "Stop" stands where "Send" stood
  scrollToEnd();
  let ended = null;
  try {
    await readLines("/api/chat/replies", { version, text }, (line) => {
      if (line.kind === "end") ended = line;
      else arrive(line);
    });
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    await recover(error, text);
    return;
  } finally {
    busy = false;
  }
  if (!ended) return recover(new Failed(0, ""), null);
  if ($("state").dataset.kind !== "bad") showState("");
  show(ended.chat);
  if (ended.problem) showState(say(ended.problem), "bad");
}

function arrive(line) {
  if (line.kind === "waiting") {
    showState(line.before === 1 ? say("chat_waiting_one") : say("chat_waiting_many", { n: line.before }), "warn");
  } else if (line.kind === "begin") {
    showState("");
    arriving = Object.fromEntries(line.places.map((place) => [place, ""]));
    placeAnswers(line.places);
    $("responses").scrollLeft = 0;
    scrollToEnd();
  } else {
    const follows = isAtEnd();
    arriving[line.place] += line.text;
    write($(`${line.place}-text`), arriving[line.place]);
    if (follows) scrollToEnd();
  }
}

/** Something did not work: say so, and show how the conversation really stands. */
async function recover(error, text) {
  showState(sentenceOf(error), "bad");
  try {
    show(await get("/api/chat"));
  } catch (again) {
    if (!(again instanceof Failed)) throw again;
    talk = { ...talk, state: "idle", messages: talk.messages.slice(0, text === null ? undefined : -1) };
    drawMessages(talk.messages);
    arrange("idle");
  }
  const arrived = talk.messages.findLast((message) => message.role === "user")?.raw === text; // only its answer was lost
  if (text !== null && !arrived && !$("message").value) $("message").value = text;
}

function sentenceOf(error) {
  if (error.isSession) return say("chat_session");
  return error.status === 0 || error.status >= 500 ? say("chat_offline") : error.message;
}

async function poll() {
  if (talk.state !== "writing" || busy) return;
  if (!(await change(() => get("/api/chat")))) setTimeout(poll, RETRY_MS);
}

/** One question to the server whose answer is the conversation. */
async function change(request) {
  if (busy) return false;
  busy = true;
  try {
    show(await request());
    return true;
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    showState(sentenceOf(error), "bad");
    if (error.status === 409) show(await get("/api/chat"));
    return false;
  } finally {
    busy = false;
  }
}

// ---- what the person does

function send() {
  const text = $("message").value.trim();
  if (!text || !talk || talk.state !== "idle" || busy) return;
  $("message").value = "";
  converse(text);
}

async function stop() {
  if (talk?.state !== "writing" || $("stop").disabled) return;
  $("stop").disabled = true;
  try {
    await post("/api/chat/stop", {}); // the reply itself ends, and says how
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    showState(sentenceOf(error), "bad");
    $("stop").disabled = false;
  }
}

async function act(action) {
  if (talk.state === "choosing" && ["left", "right", "tie", "both_bad"].includes(action)) {
    const body = { version: talk.version, key: choice.key, outcome: action, seconds: seconds() };
    if (await change(() => post("/api/chat/choices", body))) showState(say("chat_saved"));
  } else if (talk.state === "picking" && ["left", "right"].includes(action)) {
    await change(() => post("/api/chat/picks", { version: talk.version, place: action }));
  } else if (talk.state === "picking" && action === "raw") {
    converse(null);
  }
}

/** What passed since the answers were whole; not while the page was hidden. */
const seconds = () => Math.round(choice.spent + (choice.since ? performance.now() - choice.since : 0)) / 1000;

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.target.closest("dialog")) return stop();
  if (event.target === $("message")) {
    const isDone = event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
    if (isDone) {
      event.preventDefault();
      if (counts(event)) send();
    }
    return;
  }
  const action = talk && isAsking() ? actionOf(event, false) : null;
  if (!action) return;
  event.preventDefault();
  if (counts(event)) act(action);
});

addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button && counts(event)) act(button.dataset.action);
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("stop").addEventListener("click", (event) => counts(event) && stop());

$("open-new").addEventListener("click", () => $("new").showModal());
$("new").addEventListener("close", async () => {
  if ($("new").returnValue !== "yes") return;
  showState("");
  try {
    show(await post("/api/chat/new", {})); // also while a reply arrives, which then ends
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    showState(sentenceOf(error), "bad");
  }
});

// ---- narrow screens: the two answers in a strip that is swiped, with two buttons above

for (const place of ["left", "right"]) {
  $(`tab-${place}`).addEventListener("click", () => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const left = place === "left" ? 0 : $("responses").scrollWidth;
    $("responses").scrollTo({ left, behavior: calm ? "auto" : "smooth" });
  });
}
$("responses").addEventListener("scroll", () => {
  const isRight = $("responses").scrollLeft > $("responses").clientWidth / 2;
  $("tab-left").setAttribute("aria-pressed", String(!isRight));
  $("tab-right").setAttribute("aria-pressed", String(isRight));
}, { passive: true });

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (choice.since) choice.spent += performance.now() - choice.since;
    choice.since = 0;
  } else {
    choice.since = performance.now();
  }
});

async function begin() {
  if (!(await change(() => get("/api/chat")))) setTimeout(begin, RETRY_MS);
}

begin();
