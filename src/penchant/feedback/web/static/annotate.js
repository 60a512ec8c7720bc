// The page on which people compare: which pair is shown, what an answer does, going back and forth.
//
// `ahead` holds the open pairs that were fetched, the first is the one to answer; `past` the answered ones, newest first.
// `looking` is the place in `past` while somebody looks back, else -1. An answer goes into the queue and the next pair is
// on screen at once; the queue sends when it can.

import { Failed, get, newKey } from "./api.js";
import { ask, asked, asksStrength, closeComment, hasChanged, openComment, remarks, showAnswer, toggleReason } from "./form.js";
import { actionOf } from "./keys.js";
import { Pair } from "./pair.js";
import { counts, shownAnew } from "./press.js";
import { Queue } from "./queue.js";
import { announce, showEnding, showProgress, showSaved, showState, showWaiting } from "./status.js";
import "./strip.js";
import { onlyHere } from "./tabs.js";
import { seconds, startWatch } from "./watch.js";
import { say } from "./words.js";

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
let isElsewhere = false; // another tab has taken over
let fetching = false;
let askedAt = Date.now();

// ---- what is on screen

const shown = () => (isElsewhere ? null : looking >= 0 ? past[looking] : ahead[0]);

function show() {
  const view = shown();
  const offline = unreachable || queue.state === "offline";
  document.body.dataset.view = isElsewhere ? "elsewhere" : view ? "pair" : exhausted ? "end" : offline ? "offline" : "loading";
  $("elsewhere").hidden = !isElsewhere;
  $("pair").hidden = $("answers").hidden = !view;
  $("ending").hidden = isElsewhere || Boolean(view) || !(exhausted || offline);
  ask(null);
  closeComment();
  if (!view) {
    pair.view = null;
    document.body.dataset.assignment = "";
    if (isElsewhere) return;
    if (exhausted || offline) showEnding(progress, !exhausted);
    if (exhausted) announce($("ending-title").textContent);
    return;
  }
  if (pair.view !== view) {
    pair.draw(view);
    shownAnew();
    scrollTo(0, 0);
    startWatch();
  }
  document.body.dataset.assignment = String(view.id);
  showAnswer(view, looking >= 0);
}

// ---- answering

function choose(place) {
  if (!shown()) return;
  if (asksStrength && (place === "left" || place === "right")) ask(place);
  else answer(place, null);
}

function answer(outcome, strength) {
  const view = shown();
  if (looking >= 0) {
    looking -= 1;
  } else {
    ahead.shift();
    past.unshift(view);
  }
  send(view, outcome, strength);
  show();
  if (shown()) announce(say("next_pair"));
  if (!ahead.length) refill();
}

/** What is said of a pair goes into the queue and takes the place of what was said of it before. */
function send(view, outcome, strength) {
  const given = { outcome, strength, ...remarks() };
  const isNew = !view.answer && outcome !== "skip";
  const body = { key: newKey(), assignment_id: view.id, seconds: Math.round(seconds() * 100) / 100, ...given };
  view.answer = { ...given, created_at: new Date().toISOString() };
  delete view.draft;
  stack.push(view.id);
  queue.push({ path: "/api/answers", body, isNew });
  tellProgress();
}

/** What was written about the open pair stays there while another is shown; about an answered one, it is saved. */
function keepRemarks() {
  const view = shown();
  if (!view || !hasChanged()) return;
  if (looking < 0) view.draft = remarks();
  else send(view, view.answer.outcome, view.answer.strength);
  showAnswer(view, looking >= 0);
}

function undo() {
  if (isElsewhere) return;
  keepRemarks();
  const id = stack.pop();
  const view = past.find((other) => other.id === id);
  if (!view && !past.length && !queue.items.length && progress?.answered === 0) {
    showState(say("nothing_to_undo"));
    return;
  }
  if (view) reopen(view, view.answer);
  queue.push({ path: "/api/undo", body: { key: newKey() }, reopened: view?.id ?? null, said: view?.answer });
}

/** Ask the pair again, first of all; `said`, its withdrawn answer, gives what was written about it. */
function reopen(view, said) {
  if (shown()?.id !== view.id) keepRemarks();
  past = past.filter((other) => other.id !== view.id);
  ahead = [{ ...view, answer: null, draft: said }, ...ahead.filter((other) => other.id !== view.id)];
  looking = -1;
  stack = stack.filter((id) => id !== view.id);
  exhausted = false;
  show();
  showState(say("undone"));
}

// ---- back and forth

async function back() {
  if (isElsewhere) return;
  if (looking + 1 >= past.length) await fetchPast();
  if (looking + 1 >= past.length) {
    showState(say("no_earlier"));
    return;
  }
  keepRemarks();
  looking += 1;
  show();
}

function forth() {
  if (looking < 0) return;
  keepRemarks();
  looking -= 1;
  show();
}

async function fetchPast() {
  if (queue.items.length) return; // the server does not know yet what comes next in the past
  const oldest = Math.min(...past.map((view) => view.answer_id ?? Infinity));
  try {
    const found = await get(`/api/history${oldest < Infinity ? `?before=${oldest}` : ""}`);
    const known = new Set([...past, ...ahead].map((view) => view.id));
    past = [...past, ...found.filter((view) => !known.has(view.id))];
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
  }
}

// ---- talking to the server

/** Fetch open pairs. Only when the server knows every answer, or it would give those again that wait here. */
async function refill() {
  if (isElsewhere || fetching || queue.items.length) return;
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

/** Whether this page has the pair, or its answer waits: not so where a page before a reload asked it again. */
const isKnown = (id) =>
  [...ahead, ...past].some((view) => view.id === id) || queue.items.some((item) => item.body.assignment_id === id);

queue.addEventListener("sent", (event) => {
  const { item, reply } = event.detail;
  document.body.dataset.queue = String(queue.items.length);
  progress = reply.progress;
  tellProgress();
  if (item.path === "/api/undo") {
    if (!reply.assignment) showState(say("nothing_to_undo"));
    else if (reply.assignment.id === item.reopened && isKnown(item.reopened)) showState(say("undone"));
    else reopen(reply.assignment, reply.withdrawn ?? item.said);
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
  const id = event.detail.item.body.assignment_id;
  if (shown()?.id !== id) keepRemarks();
  past = past.filter((view) => view.id !== id);
  if (looking >= past.length) looking = -1;
  showState(say("not_saved", { reason: event.detail.error.message }), "bad");
  show();
});

// ---- keys and buttons

function commentDone() {
  closeComment();
  keepRemarks();
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
  "comment-done": commentDone,
  raw: toggleRaw,
  guidelines: () => $("guidelines")?.showModal(),
  keys: () => $("keys").showModal(),
  cancel: () => (asked() ? ask(null) : looking >= 0 && forth()),
};

/** What says something about a pair, or takes it back, is done once a press; the others harm nobody. */
const SAYS = /^(left|right|tie|both_bad|skip|undo|strength-.)$/;

function act(action, event) {
  if (SAYS.test(action) && !counts(event)) return;
  if (action.startsWith("strength-")) answer(asked(), Number(action.slice(-1)));
  else if (action in DO) DO[action]();
  else choose(action);
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target === $("comment") && !event.isComposing) return commentDone();
  const action = actionOf(event, Boolean(asked()));
  if (!action) return;
  event.preventDefault();
  act(action, event);
});

addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.action) act(button.dataset.action, event);
  else if (button.dataset.strength) act(`strength-${button.dataset.strength}`, event);
  else if (button.dataset.reason) toggleReason(button);
});

$("look-again").addEventListener("click", refill);

// ---- one tab at a time

onlyHere(document.body.dataset.queueName, () => {
  keepRemarks();
  isElsewhere = true;
  show();
  announce($("elsewhere-title").textContent);
});

$("go-on-here").addEventListener("click", () => location.reload()); // what this page knew may be answered by now

// leases are renewed on coming back
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() - askedAt > RENEW_AFTER_MS) refill();
});

document.body.dataset.queue = String(queue.items.length);
if (queue.items.length) queue.flush();
else refill();
