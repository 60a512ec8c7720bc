// One press is one deed, done to what was on screen when it began.
//
// A double click, a double tap, a key that is held, a finger that was down while the pair changed, and a press in the
// moment in which nobody can have seen what came: none of them may say anything about a pair. Every page that records
// what people decide calls `shownAnew` when something else waits for a decision, and does nothing unless `counts`.

const DEAF_MS = 300;

let listensFrom = 0; // of what is on screen: presses that began before are not about it
let isOwnPress = false; // whether that holds only for the key or pointer that brought it
let press = { source: "", at: 0, isSpent: true };
let isClickKeyDown = false; // Enter or Space, which make a click of their own

/** Something else waits for a decision. isOwn: it follows from the last press, and any other key may answer at once. */
export function shownAnew({ isOwn = false } = {}) {
  isOwnPress = isOwn;
  listen(Infinity);
  requestAnimationFrame(() => setTimeout(() => listen(performance.now() + DEAF_MS))); // counted from when it is painted
}

function listen(from) {
  listensFrom = from;
  document.body.dataset.listensFrom = String(from);
}

/** Whether this keydown or click is a press of its own, made at what is on screen; asking spends the press. */
export function counts(event) {
  if (event.repeat || (event.type === "click" && event.detail > 1)) return false;
  // no pointer and no key made this click: somebody's reading aid did
  if (event.type === "click" && event.detail === 0 && !isClickKeyDown) begin("click", event);
  const isEarly = press.at < listensFrom && !(isOwnPress && press.source !== press.before);
  if (press.isSpent || isEarly) return false;
  press.isSpent = true;
  return true;
}

function begin(source, event) {
  press = { source, at: event.timeStamp, isSpent: false, before: press.source };
}

const isClickKey = (event) => event.key === "Enter" || event.key === " ";

addEventListener("pointerdown", (event) => begin("pointer", event), true);

addEventListener("keydown", (event) => {
  if (isClickKey(event)) isClickKeyDown = true;
  if (!event.repeat) begin(event.key, event);
  else if (isClickKey(event) && event.target.closest("button, summary")) event.preventDefault(); // one click
}, true);

addEventListener("keyup", (event) => {
  if (isClickKey(event)) setTimeout(() => (isClickKeyDown = false)); // after the click that Space makes
}, true);

addEventListener("blur", () => (isClickKeyDown = false));
