// Verdicts where people disagree: one click decides, another changes it.

import { Failed, newKey, post } from "./api.js";
import { counts } from "./press.js";
import { clock, say } from "./words.js";

const opened = performance.now();
const announce = document.getElementById("announce");

async function decide(task, button) {
  const buttons = task.querySelectorAll("[data-outcome]");
  for (const other of buttons) other.disabled = true;
  const seconds = Math.round((performance.now() - opened) / 10) / 100;
  try {
    const body = { key: newKey(), task_id: task.dataset.task, outcome: button.dataset.outcome, seconds };
    const reply = await post("/api/adjudications", body);
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    announce.textContent = say("saved", { time: clock(reply.saved_at) });
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    announce.textContent = say("not_saved", { reason: error.message });
  } finally {
    for (const other of buttons) other.disabled = false;
    button.focus();
  }
}

addEventListener("click", (event) => {
  const button = event.target.closest("[data-outcome]");
  if (button && counts(event)) decide(button.closest("[data-task]"), button);
});
