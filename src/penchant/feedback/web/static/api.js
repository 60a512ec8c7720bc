// Talking to the server: JSON both ways, the CSRF token on every change, and one kind of error.

const csrf = document.querySelector("meta[name=csrf-token]").content;
const PATIENCE_MS = 15000;

/** A request that did not do what it should. status 0: the server could not be reached, so trying again may help. */
export class Failed extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
  get mayPass() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
  get isSession() {
    return this.status === 401 || this.status === 403;
  }
}

async function ask(path, options) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), PATIENCE_MS);
  try {
    const response = await fetch(path, { ...options, signal: control.signal, credentials: "same-origin" });
    const reply = await response.json();
    if (!response.ok) throw new Failed(response.status, reply.error || response.statusText);
    return reply;
  } catch (error) {
    throw error instanceof Failed ? error : new Failed(0, String(error));
  } finally {
    clearTimeout(timer);
  }
}

export const get = (path) => ask(path, {});

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });

/** A key that no other answer has; works on plain http too, where crypto.randomUUID is missing. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
