// How long somebody has looked at a pair: what passes while the page is hidden does not count.

let since = 0;
let spent = 0;

export function startWatch() {
  since = document.hidden ? 0 : performance.now();
  spent = 0;
}

export const seconds = () => (spent + (since ? performance.now() - since : 0)) / 1000;

document.addEventListener("visibilitychange", () => {
  if (document.hidden && since) spent += performance.now() - since;
  since = document.hidden ? 0 : performance.now();
});
