// Somebody else's session lives in this browser, and a link would replace it: only when the person says so.

import { Failed, post } from "./api.js";
import { say } from "./words.js";

document.getElementById("replace").addEventListener("click", async () => {
  try {
    await post(location.pathname, {});
    location.replace("/");
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    document.getElementById("message").textContent = say("not_saved", { reason: error.message });
  }
});
