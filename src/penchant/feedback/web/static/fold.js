// A long prompt shows as much as leaves room for the answers, from where the last turn begins, until it is unfolded.

import { say } from "./words.js";

const prompt = document.getElementById("prompt");
const button = document.getElementById("unfold");

/** Of another prompt: its last turn first, since that is what the responses answer. */
export function fold() {
  setFolds(true);
  const last = prompt.lastElementChild;
  prompt.scrollTop = last && last !== prompt.firstElementChild ? last.offsetTop : 0;
  measure();
}

function setFolds(folds) {
  prompt.classList.toggle("folds", folds);
  button.setAttribute("aria-expanded", String(!folds));
  button.textContent = say(folds ? "prompt_whole" : "prompt_less");
  measure();
}

/** Which ends are hidden; the button is there as long as it does something. */
function measure() {
  const folds = prompt.classList.contains("folds");
  const hidden = prompt.scrollHeight - prompt.clientHeight;
  prompt.classList.toggle("above", folds && prompt.scrollTop > 1);
  prompt.classList.toggle("below", folds && hidden - prompt.scrollTop > 1);
  button.hidden = folds && hidden <= 1;
}

button.addEventListener("click", () => setFolds(!prompt.classList.contains("folds")));
prompt.addEventListener("toggle", (event) => event.target.open && setFolds(false), true); // earlier turns were asked for
prompt.addEventListener("scroll", measure, { passive: true }); // the focus on a link, or a search, moves it
new MutationObserver(measure).observe(prompt, { childList: true, subtree: true });
new ResizeObserver(measure).observe(prompt);
