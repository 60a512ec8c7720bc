// From a key to what it does. Typing in a field, and keys held down or pressed with Ctrl, Alt or Meta, do nothing here.

const ACTIONS = {
  1: "left", a: "left", arrowleft: "left",
  2: "right", b: "right", arrowright: "right",
  0: "tie", t: "tie",
  x: "both_bad",
  s: "skip",
  u: "undo", z: "undo",
  backspace: "back", p: "back",
  n: "next",
  c: "comment",
  r: "raw",
  g: "guidelines",
  "?": "keys",
  escape: "cancel",
};

/** The action of this key event or null; while a strength is asked for, 1 to 4 are `strength-1` to `strength-4`. */
export function actionOf(event, asksStrength) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return null;
  if (event.target.closest("textarea, input, select, dialog[open]")) return null;
  const key = event.key.toLowerCase();
  if (asksStrength) {
    if (/^[1-4]$/.test(key)) return `strength-${key}`;
    if (key === "backspace") return "cancel";
  }
  if (event.target.closest("pre, .table") && key.startsWith("arrow")) return null; // scrolls what has the focus
  return ACTIONS[key] ?? null;
}
