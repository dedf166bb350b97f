/**
 * Live numbers of the desk's pages: whatever has `data-count` shows how many items of that queue wait.
 * The server sends them when they change; the browser comes back by itself when the stream ends.
 * On the page of a queue, N takes the next item.
 */

import { find, isWriting, keysAreOn } from "./keys.js";

/** @param {Record<string, number>} counts */
function show(counts) {
  for (const place of document.querySelectorAll("[data-count]")) {
    const name = /** @type {HTMLElement} */ (place).dataset.count ?? "";
    const text = String(counts[name] ?? "");
    if (text && place.textContent !== text) {
      place.textContent = text;
    }
  }
}

const source = new EventSource("/staff/desk/events");
source.addEventListener("counts", (message) => show(JSON.parse(message.data)));
addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat && !isWriting(event);
  const take = /** @type {HTMLButtonElement | null} */ (find("#take"));
  if (take && plain && event.key.toLowerCase() === "n" && keysAreOn()) {
    event.preventDefault();
    take.click();
  }
});
addEventListener("pagehide", () => source.close());
