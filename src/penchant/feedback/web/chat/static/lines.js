// A reply that comes a line of JSON at a time: POST with the same proofs as every change, then each line as it arrives.

import { Failed } from "../api.js";

const csrf = document.querySelector("meta[name=csrf-token]").content;

/** Calls onLine with each line. Throws Failed: with its status where the server refuses, 0 where the connection broke. */
export async function readLines(path, body, onLine) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
    if (!response.ok) {
      const reply = await response.json();
      throw new Failed(response.status, reply.error || response.statusText);
    }
    await split(response.body.getReader(), onLine);
  } catch (error) {
    throw error instanceof TypeError || error instanceof DOMException ? new Failed(0, String(error)) : error;
  }
}

async function split(reader, onLine) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) onLine(JSON.parse(line));
  }
}
