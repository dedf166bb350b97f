/**
 * Live numbers of the desk's pages: whatever has `data-count` shows how many items of that queue wait, and what has
 * `data-while-waiting` or `data-while-empty` is there while some, or none, do.
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
  for (const [attribute, waiting] of /** @type {const} */ ([["whileWaiting", true], ["whileEmpty", false]])) {
    const selector = waiting ? "[data-while-waiting]" : "[data-while-empty]";
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(selector))) {
      const number = counts[place.dataset[attribute] ?? ""];
      if (number !== undefined) {
        place.hidden = number > 0 !== waiting;
      }
    }
  }
}

const source = new EventSource("/staff/desk/events");
source.addEventListener("counts", (message) => show(JSON.parse(message.data)));
addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat && !isWriting(event);
  const take = /** @type {HTMLButtonElement | null} */ (find("#take"));
  if (take?.checkVisibility() && plain && event.key.toLowerCase() === "n" && keysAreOn()) {
    event.preventDefault();
    take.click();
  }
});
addEventListener("pagehide", () => source.close());
