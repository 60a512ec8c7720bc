// The page's sentences, in the language it was made in.

const words = JSON.parse(document.body.dataset.words);

/** The sentence of this key, with {name} filled in from values. */
export function say(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export const clock = (iso) => new Date(iso).toLocaleTimeString(document.documentElement.lang, { hour12: false });

export const count = (number) => number.toLocaleString(document.documentElement.lang);
