// The page on which people compare: which pair is shown, what an answer does, going back and forth.
//
// `ahead` holds the open pairs that were fetched, the first is the one to answer; `past` the answered ones, newest first.
// `looking` is the place in `past` while somebody looks back, else -1. An answer goes into the queue and the next pair is
// on screen at once; the queue sends when it can.

import { Failed, get, newKey } from "./api.js";
import { ask, asked, asksStrength, closeComment, openComment, remarks, showRemarks, toggleReason } from "./form.js";
import { actionOf } from "./keys.js";
import { Pair } from "./pair.js";
import { Queue } from "./queue.js";
import { announce, showEnding, showProgress, showSaved, showState, showWaiting } from "./status.js";
import "./strip.js";
import { seconds, startWatch } from "./watch.js";
import { clock, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const RENEW_AFTER_MS = 5 * 60 * 1000;
const RETRY_MS = 3000;

const queue = new Queue(document.body.dataset.queueName);
const pair = new Pair();

let ahead = [];
let past = [];
let looking = -1;
let stack = []; // ids of the pairs answered on this page, in the order of answering: what undo shows without waiting
let progress = null;
let exhausted = false; // the server had nothing more at the last question
let unreachable = false; // nor could the server be asked
let fetching = false;
let askedAt = Date.now();

// ---- what is on screen

const shown = () => (looking >= 0 ? past[looking] : ahead[0]);

function show() {
  const view = shown();
  const offline = unreachable || queue.state === "offline";
  document.body.dataset.view = view ? "pair" : exhausted ? "end" : offline ? "offline" : "loading";
  $("pair").hidden = $("answers").hidden = !view;
  $("ending").hidden = Boolean(view) || !(exhausted || offline);
  ask(null);
  closeComment();
  if (!view) {
    pair.view = null;
    document.body.dataset.assignment = "";
    if (exhausted || offline) showEnding(progress, !exhausted);
    if (exhausted) announce($("ending-title").textContent);
    return;
  }
  if (pair.view !== view) {
    pair.draw(view);
    scrollTo(0, 0);
    startWatch();
  }
  document.body.dataset.assignment = String(view.id);
  showAnswer(view);
}

function showAnswer(view) {
  $("looking-back").hidden = looking < 0;
  $("go-on").hidden = looking < 0;
  if (looking >= 0) {
    const key = view.answer.outcome;
    $("looking-back").textContent = say("looking_back", { answer: say(key), time: clock(view.answer.created_at) });
  }
  for (const button of document.querySelectorAll(".choice[data-action], [data-action=skip]")) {
    button.setAttribute("aria-pressed", String(looking >= 0 && view.answer.outcome === button.dataset.action));
  }
  showRemarks(view.answer ?? view.draft ?? null);
}

// ---- answering

function choose(place) {
  if (!shown()) return;
  if (asksStrength && (place === "left" || place === "right")) ask(place);
  else answer(place, null);
}

function answer(outcome, strength) {
  const view = shown();
  const { reasons, comment } = remarks();
  const given = { outcome, strength, reasons, comment: comment.trim() };
  const isNew = looking < 0 && outcome !== "skip";
  const body = { key: newKey(), assignment_id: view.id, seconds: Math.round(seconds() * 100) / 100, ...given };
  view.answer = { ...given, created_at: new Date().toISOString() };
  delete view.draft;
  if (looking >= 0) {
    looking -= 1;
  } else {
    ahead.shift();
    past.unshift(view);
  }
  stack.push(view.id);
  queue.push({ path: "/api/answers", body, isNew });
  tellProgress();
  show();
  if (shown()) announce(say("next_pair"));
  if (!ahead.length) refill();
}

function undo() {
  const id = stack.pop();
  const view = past.find((other) => other.id === id);
  if (!view && !past.length && !queue.items.length && progress?.answered === 0) {
    showState(say("nothing_to_undo"));
    return;
  }
  looking = -1;
  if (view) reopen(view);
  queue.push({ path: "/api/undo", body: { key: newKey() }, reopened: view?.id ?? null });
}

/** Ask the pair again, first of all, with what was written about it. */
function reopen(view) {
  const { reasons, comment } = view.answer ?? { reasons: [], comment: "" };
  past = past.filter((other) => other.id !== view.id);
  ahead = [{ ...view, answer: null, draft: { reasons, comment } }, ...ahead.filter((other) => other.id !== view.id)];
  looking = -1;
  stack = stack.filter((id) => id !== view.id);
  exhausted = false;
  show();
  showState(say("undone"));
}

// ---- back and forth

async function back() {
  if (looking + 1 >= past.length) await fetchPast();
  if (looking + 1 >= past.length) {
    showState(say("no_earlier"));
    return;
  }
  keepDraft();
  looking += 1;
  show();
}

function forth() {
  if (looking < 0) return;
  looking -= 1;
  show();
}

async function fetchPast() {
  if (queue.items.length) return; // the server does not know yet what comes next in the past
  const last = past.findLast((view) => view.answer_id);
  try {
    const found = await get(`/api/history${last ? `?before=${last.answer_id}` : ""}`);
    const known = new Set([...past, ...ahead].map((view) => view.id));
    past = [...past, ...found.filter((view) => !known.has(view.id))];
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
  }
}

// ---- talking to the server

/** Fetch open pairs. Only when the server knows every answer, or it would give those again that wait here. */
async function refill() {
  if (fetching || queue.items.length) return;
  fetching = true;
  let again = false;
  const before = stack.length;
  try {
    const reply = await get("/api/next");
    askedAt = Date.now();
    again = stack.length > before; // answered meanwhile: what came may be answered already
    const known = new Set([...ahead.map((view) => view.id), ...stack.slice(before)]);
    ahead = [...ahead, ...[reply.current, reply.then].filter((view) => view && !known.has(view.id))];
    exhausted = !reply.current;
    unreachable = false;
    progress = reply.progress;
    tellProgress();
    if (!pair.view || !shown()) show();
    if ($("state").dataset.kind === "warn") showState("");
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    if (error.isSession) return tellState("session");
    unreachable = true;
    showWaiting(queue.items.length);
    if (!shown()) show();
    setTimeout(refill, RETRY_MS);
  } finally {
    fetching = false;
  }
  if (again) refill();
}

function tellProgress() {
  if (progress) showProgress(progress, queue.items.filter((item) => item.isNew).length);
}

function tellState(state) {
  const waiting = queue.items.length;
  document.body.dataset.queue = String(waiting);
  if (state === "offline") {
    showWaiting(waiting);
    if (!shown()) show();
  } else if (state === "session") showState(say("session_lost", { n: waiting }), "bad");
  else if (state === "sending") showState(say("saving"), "quiet");
  if (state === "idle" && ahead.length < 2 && !fetching) refill();
}

queue.addEventListener("change", (event) => tellState(event.detail));

queue.addEventListener("sent", (event) => {
  const { item, reply } = event.detail;
  document.body.dataset.queue = String(queue.items.length);
  progress = reply.progress;
  tellProgress();
  if (item.path === "/api/undo") {
    if (!reply.assignment) showState(say("nothing_to_undo"));
    else if (reply.assignment.id !== item.reopened) reopen(reply.assignment);
    else showState(say("undone"));
    return;
  }
  const view = past.find((other) => other.id === item.body.assignment_id);
  if (view) view.answer_id = reply.answer_id;
  if (reply.then && ![...ahead, ...past].some((other) => other.id === reply.then.id)) {
    ahead.push(reply.then);
    if (!pair.view) show();
  }
  showSaved(reply.saved_at);
});

queue.addEventListener("refused", (event) => {
  past = past.filter((view) => view.id !== event.detail.item.body.assignment_id);
  if (looking >= past.length) looking = -1;
  showState(say("not_saved", { reason: event.detail.error.message }), "bad");
  show();
});

// ---- keys and buttons

/** What was written about the open pair stays while one looks back. */
function keepDraft() {
  if (looking >= 0 || !ahead[0]) return;
  ahead[0].draft = remarks();
}

function toggleRaw() {
  pair.toggleRaw();
  $("raw").setAttribute("aria-pressed", String(pair.raw));
}

const DO = {
  undo,
  back,
  next: forth,
  comment: openComment,
  raw: toggleRaw,
  guidelines: () => $("guidelines")?.showModal(),
  keys: () => $("keys").showModal(),
  cancel: () => (asked() ? ask(null) : looking >= 0 && forth()),
};

function act(action) {
  if (action.startsWith("strength-")) answer(asked(), Number(action.slice(-1)));
  else if (action in DO) DO[action]();
  else choose(action);
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target === $("comment")) return closeComment();
  const action = actionOf(event, Boolean(asked()));
  if (!action) return;
  event.preventDefault();
  act(action);
});

addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.action) act(button.dataset.action);
  else if (button.dataset.strength) act(`strength-${button.dataset.strength}`);
  else if (button.dataset.reason) toggleReason(button);
});

$("open-keys").addEventListener("click", () => $("keys").showModal());
$("open-guidelines")?.addEventListener("click", () => $("guidelines").showModal());
$("comment-done").addEventListener("click", closeComment);
$("look-again").addEventListener("click", refill);

// leases are renewed on coming back
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() - askedAt > RENEW_AFTER_MS) refill();
});

document.body.dataset.queue = String(queue.items.length);
if (queue.items.length) queue.flush();
else refill();
