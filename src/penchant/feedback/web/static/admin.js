// The admin page: figures that renew themselves, invitations, and letting people in no more.

import { Failed, post } from "./api.js";
import { counts } from "./press.js";
import { clock, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const RENEW_MS = 10000;

/** The part that changes comes as HTML from the server, where every value was escaped. */
async function renew() {
  if (document.hidden) return;
  try {
    const response = await fetch("/admin/figures", { credentials: "same-origin" });
    if (!response.ok) return;
    const html = await response.text();
    if ($("live").contains(document.activeElement)) return; // do not take a button from under somebody's hand
    $("live").innerHTML = html;
    $("renewed").textContent = say("live", { time: clock(new Date().toISOString()) });
  } catch {
    // the next time will do
  }
}

let isChanging = false;

async function change(action) {
  if (isChanging) return;
  isChanging = true;
  try {
    await action();
    $("message").textContent = "";
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    $("message").textContent = say("not_saved", { reason: error.message });
  } finally {
    isChanging = false;
  }
}

async function invite(name, role) {
  const invitation = await post("/api/admin/invitations", { name, role });
  $("link-label").textContent = say("link_for", { name: invitation.name });
  $("link").value = invitation.link;
  $("link-box").hidden = false;
  $("copy").textContent = say("copy");
  $("link").focus();
  $("link").select();
}

$("invite").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  change(async () => {
    await invite(String(form.get("name")).trim(), String(form.get("role")));
    event.target.reset();
  });
});

$("copy").addEventListener("click", async () => {
  $("link").select();
  try {
    await navigator.clipboard.writeText($("link").value);
  } catch {
    document.execCommand("copy"); // on plain http there is no clipboard object
  }
  $("copy").textContent = say("copied");
});

addEventListener("click", (event) => {
  const button = event.target.closest("[data-disable], [data-invite]");
  if (!button || !counts(event)) return;
  if (button.dataset.invite) {
    change(() => invite(button.dataset.invite, button.dataset.role));
    return;
  }
  if (!confirm(say("disable_sure", { name: button.dataset.name }))) return;
  button.blur();
  change(async () => {
    await post(`/api/admin/annotators/${button.dataset.disable}/disable`, {});
    await renew();
  });
});

setInterval(renew, RENEW_MS);
