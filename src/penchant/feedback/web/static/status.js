// What the page says about itself: saved or not, how far, how fast; and what a screen reader hears.

import { clock, count, say } from "./words.js";

const $ = (id) => document.getElementById(id);

export function announce(text) {
  $("announce").textContent = "";
  requestAnimationFrame(() => {
    $("announce").textContent = text;
  });
}

export function showState(text, kind = "good") {
  $("state").textContent = text;
  $("state").dataset.kind = kind;
}

export const showSaved = (iso) => showState(say("saved", { time: clock(iso) }));

export function showWaiting(waiting) {
  showState(waiting === 1 ? say("offline_one") : waiting ? say("offline_many", { n: waiting }) : say("offline_none"), "warn");
}

function duration(hours) {
  const minutes = Math.max(1, Math.round(hours * 60));
  return minutes < 90 ? say("minutes", { n: minutes }) : say("hours", { n: count(Math.round(hours * 10) / 10) });
}

/** total is null where some pairs are known ones or repeats: then only about_left is told, in tens.
    waiting: answers given here that the server does not have yet. */
export function showProgress(progress, waiting = 0) {
  const total = progress.total ?? progress.answered + progress.about_left;
  const done = Math.min(progress.answered + waiting, total);
  const left = total - done;
  const isAbout = progress.total === null && left > 0;
  const about = () => say("progress_about", { done: count(done), left: count(Math.ceil(left / 10) * 10) });
  const parts = [isAbout ? about() : say("progress_text", { done: count(done), total: count(total) })];
  if (progress.per_hour && progress.answered > 4) {
    parts.push(say("pace", { n: count(Math.round(progress.per_hour)) }));
    if (left > 0) parts.push(say("time_left", { time: duration(left / progress.per_hour) }));
  }
  $("progress").textContent = parts.join(" · ");
  const share = total ? done / total : 0;
  $("bar-fill").style.setProperty("width", `${100 * share}%`);
  $("bar").setAttribute("aria-valuemax", String(total));
  $("bar").setAttribute("aria-valuenow", String(done));
}

export function showEnding(progress, offline) {
  const none = !progress || progress.answered === 0;
  $("ending-title").textContent = say(offline ? "waiting_title" : none ? "end_title_none" : "end_title");
  $("ending-text").textContent = say(offline ? "waiting_text" : none ? "end_text_none" : "end_text");
  const figures = [];
  if (!offline && !none) {
    figures.push([progress.answered, "end_answered"]);
    if (progress.per_hour && progress.answered > 4) figures.push([Math.round(progress.per_hour), "end_pace"]);
    if (progress.seconds_median) figures.push([Math.round(progress.seconds_median * 10) / 10, "end_median"]);
  }
  $("ending-figures").replaceChildren(
    ...figures.map(([number, key]) => {
      const box = document.createElement("div");
      box.append(document.createElement("dd"), document.createElement("dt"));
      box.firstChild.textContent = count(number);
      box.lastChild.textContent = say(key);
      return box;
    }),
  );
  $("ending-actions").hidden = offline;
}
