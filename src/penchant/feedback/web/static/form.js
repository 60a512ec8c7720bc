// What is said about a pair besides which response is better: how much better, for which reasons, and a comment.

import { shownAnew } from "./press.js";
import { announce } from "./status.js";
import { clock, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const chips = () => [...document.querySelectorAll("[data-reason]")];

export const asksStrength = document.body.dataset.strength === "true";

let place = null; // "left" or "right" while the strength is asked for
let before = ""; // the remarks as they were put on screen

export const asked = () => place;

/** Ask how much better the response at this place is; null: ask no more. */
export function ask(newPlace) {
  place = newPlace;
  if (!asksStrength) return;
  const hadFocus = document.activeElement?.closest("#answers");
  $("asking").hidden = Boolean(place);
  $("strength").hidden = !place;
  if (place) {
    shownAnew({ isOwn: true });
    $("strength-question").textContent = `${say(place)}. ${say("how_much")}`;
    announce($("strength-question").textContent);
    if (hadFocus) document.querySelector("[data-strength]").focus();
  }
}

export function remarks() {
  const pressed = chips().filter((chip) => chip.getAttribute("aria-pressed") === "true");
  return { reasons: pressed.map((chip) => chip.dataset.reason), comment: $("comment").value.trim() };
}

/** Whether somebody has changed the remarks since they were put on screen. */
export const hasChanged = () => JSON.stringify(remarks()) !== before;

/** Show what was said of this pair: an earlier one's answer, or what was written about one that is open. */
export function showAnswer(view, isEarlier) {
  $("looking-back").hidden = $("go-on").hidden = !isEarlier;
  if (isEarlier) {
    const { outcome, created_at: time } = view.answer;
    $("looking-back").textContent = say("looking_back", { answer: say(outcome), time: clock(time) });
  }
  for (const button of document.querySelectorAll(".choice[data-action], [data-action=skip]")) {
    button.setAttribute("aria-pressed", String(isEarlier && view.answer.outcome === button.dataset.action));
  }
  showRemarks(view.answer ?? view.draft ?? null);
}

function showRemarks(said) {
  for (const chip of chips()) chip.setAttribute("aria-pressed", String(Boolean(said?.reasons.includes(chip.dataset.reason))));
  $("comment").value = said?.comment ?? "";
  before = JSON.stringify(remarks());
  markComment();
}

export function toggleReason(chip) {
  chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
}

export function openComment() {
  $("writing").hidden = false;
  $("comment").focus();
}

export function closeComment() {
  const hadFocus = $("writing").contains(document.activeElement);
  $("writing").hidden = true;
  markComment();
  if (hadFocus) $("open-comment").focus();
}

function markComment() {
  $("open-comment").classList.toggle("filled", Boolean($("comment").value));
}
