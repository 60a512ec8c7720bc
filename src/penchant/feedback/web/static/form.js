// What is said about a pair besides which response is better: how much better, for which reasons, and a comment.

import { announce } from "./status.js";
import { say } from "./words.js";

const $ = (id) => document.getElementById(id);
const chips = () => [...document.querySelectorAll("[data-reason]")];

export const asksStrength = document.body.dataset.strength === "true";

let place = null; // "left" or "right" while the strength is asked for

export const asked = () => place;

/** Ask how much better the response at this place is; null: ask no more. */
export function ask(newPlace) {
  place = newPlace;
  if (!asksStrength) return;
  const hadFocus = document.activeElement?.closest("#answers");
  $("asking").hidden = Boolean(place);
  $("strength").hidden = !place;
  if (place) {
    $("strength-question").textContent = `${say(place)}. ${say("how_much")}`;
    announce($("strength-question").textContent);
    if (hadFocus) document.querySelector("[data-strength]").focus();
  }
}

export function remarks() {
  const pressed = chips().filter((chip) => chip.getAttribute("aria-pressed") === "true");
  return { reasons: pressed.map((chip) => chip.dataset.reason), comment: $("comment").value };
}

/** Show what was said before; null: nothing. */
export function showRemarks(said) {
  for (const chip of chips()) chip.setAttribute("aria-pressed", String(Boolean(said?.reasons.includes(chip.dataset.reason))));
  $("comment").value = said?.comment ?? "";
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
