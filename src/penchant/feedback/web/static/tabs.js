// Two tabs of one person: the one that was opened last takes answers, and the others say so.

/** Tell the other tabs that this one has been opened; `onTaken` is called when a later one says the same. */
export function onlyHere(name, onTaken) {
  const others = new BroadcastChannel(`penchant.tab.${name}`);
  others.addEventListener("message", onTaken);
  others.postMessage("here");
}
