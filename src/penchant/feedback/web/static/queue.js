// What still has to reach the server, kept in this browser until the server has said that it is on disk.
//
// Answers and undos leave in the order in which they were given. Each has a key; sent twice, it counts once. So an
// answer whose reply was lost is simply sent again: after a moment, when the network is back, or after a reload.

import { post } from "./api.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;

export class Queue extends EventTarget {
  // events: "change" (detail: state), "sent" (detail: {item, reply}), "refused" (detail: {item, error})
  constructor(name) {
    super();
    this.place = `penchant.queue.${name}`;
    this.memory = null; // the items, where this browser does not keep them
    this.sending = false;
    this.state = "idle"; // idle | sending | offline | session
    this.wait = FIRST_WAIT_MS;
    this.timer = 0;
    addEventListener("online", () => this.flush());
    addEventListener("offline", () => this.items.length && this.become("offline"));
  }

  get items() {
    if (this.memory) return this.memory;
    try {
      return JSON.parse(localStorage.getItem(this.place) || "[]");
    } catch {
      return [];
    }
  }

  set items(items) {
    try {
      localStorage.setItem(this.place, JSON.stringify(items));
      this.memory = null;
    } catch {
      this.memory = items; // full, or forbidden: the answers live as long as the page
    }
  }

  push(item) {
    this.items = [...this.items, item];
    if (this.state === "offline") this.become("offline"); // one more waits
    this.flush();
  }

  become(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: state }));
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async flush() {
    if (this.sending) return;
    clearTimeout(this.timer);
    this.sending = true;
    try {
      for (let item = this.items[0]; item; item = this.items[0]) {
        if (this.state !== "offline") this.become("sending");
        if (!(await this.send(item))) return;
      }
      this.become("idle");
    } finally {
      this.sending = false;
    }
  }

  /** Whether to go on with the next item. */
  async send(item) {
    try {
      const reply = await post(item.path, item.body);
      this.items = this.items.filter((other) => other.body.key !== item.body.key);
      this.wait = FIRST_WAIT_MS;
      this.state = "sending";
      this.tell("sent", { item, reply });
      return true;
    } catch (error) {
      if (error.isSession) {
        this.become("session");
        return false;
      }
      if (error.mayPass || error.status === undefined) {
        this.become("offline");
        this.timer = setTimeout(() => this.flush(), this.wait);
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
        return false;
      }
      this.items = this.items.filter((other) => other.body.key !== item.body.key);
      this.tell("refused", { item, error });
      return true;
    }
  }
}
