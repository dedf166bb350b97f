/** Puts the part with the figures in anew every few seconds; what was opened stays open. */

const EVERY_MS = 10_000;

const place = /** @type {HTMLElement} */ (document.querySelector("#figures"));

async function renew() {
  if (document.hidden || place.contains(document.activeElement)) {
    return;
  }
  const answer = await fetch("/staff/figures?part=1");
  if (!answer.ok || answer.redirected) {
    return;
  }
  const open = [...place.querySelectorAll("details[open]")].map((each) => /** @type {HTMLElement} */ (each).dataset.id);
  place.innerHTML = await answer.text();
  for (const each of place.querySelectorAll("details")) {
    each.open = open.includes(each.dataset.id);
  }
}

setInterval(() => void renew().catch(console.warn), EVERY_MS);
