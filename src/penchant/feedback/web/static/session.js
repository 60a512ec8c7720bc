// Signing out of this browser: answers that wait here stay, and are sent when their author comes back.

import { Failed, post } from "./api.js";
import { say } from "./words.js";

const button = document.getElementById("sign-out");

button.addEventListener("click", async () => {
  const waiting = Number(document.body.dataset.queue ?? 0);
  if (waiting && !confirm(say("sign_out_waiting", { n: waiting }))) return;
  try {
    await post("/api/sign-out", {});
    location.assign("/");
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    button.textContent = say("not_saved", { reason: error.message });
  }
});

const who = button.closest("details");
addEventListener("click", (event) => !who.contains(event.target) && (who.open = false));
who.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !who.open) return;
  event.stopPropagation();
  who.open = false;
  who.querySelector("summary").focus();
});
