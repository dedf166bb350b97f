/**
 * Patrol: comments as they become public, and one act on each. When more come than can be read, the server sends a fair sample and
 * says so. Everything that is done here can be done by the forms of the page as well.
 */

import { find, isWriting, keySwitch } from "./keys.js";

const ROWS_MAX = 300;

/** @typedef {{ total: number, shown: number, rows: string[], removed: string[] }} Seen */
/** @typedef {{ done?: number, measure?: string, code?: string, text?: string, detail?: string }} Answer */

const stream = /** @type {HTMLElement} */ (find("#stream"));
const act = /** @type {HTMLFormElement | null} */ (find("#act"));
const token = act ? String(new FormData(act).get("form_token")) : "";
let paused = false;
/** @type {Seen[]} */
let kept = [];
/** @type {Answer | null} */
let last = null;

/** @param {string} place @returns {HTMLElement | null} */
const rowOf = (place) => stream.querySelector(`[data-place="${CSS.escape(place)}"]`);

/** @param {Seen} seen */
function show(seen) {
  const rate = find("#rate");
  const share = find("#share");
  if (rate && share) {
    rate.textContent = String(seen.total);
    const some = (share.dataset.some ?? "").replace("{shown}", String(seen.shown)).replace("{total}", String(seen.total));
    share.textContent = seen.shown < seen.total ? some : (share.dataset.all ?? "");
  }
  if (paused || stream.contains(document.activeElement) || stream.matches(":hover")) {
    kept.push(seen);
    kept = kept.slice(-20);
    return;
  }
  for (const each of [...kept.splice(0), seen]) {
    for (const html of each.rows) {
      stream.insertAdjacentHTML("afterbegin", html);
    }
    for (const place of each.removed) {
      rowOf(place)?.classList.replace("public", "removed");
    }
  }
  while (stream.children.length > ROWS_MAX) {
    stream.lastElementChild?.remove();
  }
}

/** @param {string} path @param {object} body @returns {Promise<Answer>} */
async function ask(path, body) {
  const answer = await fetch(`/staff/patrol/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Barrage-Form-Token": token },
    body: JSON.stringify(body),
  });
  const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
  const found = isJson ? await answer.json() : { code: String(answer.status), text: String(answer.status) };
  if (!answer.ok || !isJson) {
    throw found;
  }
  return found;
}

/** @param {any} problem */
function complain(problem) {
  const notice = find("#notice");
  if (!notice) {
    return;
  }
  notice.hidden = false;
  if (problem?.code === "step_up_required") {
    notice.textContent = `${notice.dataset.confirm} `;
    const link = document.createElement("a");
    link.href = `/staff/confirm?return=${location.pathname}`;
    link.textContent = problem.text;
    notice.append(link);
  } else {
    notice.textContent = problem?.text ? `${problem.text} ${problem.detail ?? ""}` : (notice.dataset.offline ?? "");
  }
}

/** @param {string} text @param {Answer | null} done */
function tell(text, done) {
  last = done;
  const line = find("#last");
  const words = line?.querySelector("p");
  const form = line?.querySelector("form");
  if (line && words && form) {
    line.hidden = !text;
    words.textContent = text;
    form.hidden = !done;
  }
}

/** @param {"remove" | "mute"} what @param {string} place */
async function perform(what, place) {
  if (!act) {
    return;
  }
  const fields = new FormData(act);
  const notice = find("#notice");
  if (notice) {
    notice.hidden = true;
  }
  try {
    const body = { what, place, code: String(fields.get("reason") ?? ""), basis: String(fields.get("basis") ?? "") };
    const done = await ask("act.json", body);
    const words = find("#last p")?.dataset[what === "remove" ? "removed" : "muted"] ?? "";
    tell(`${words.replace("{place}", place.replace(":", " #"))} · ${body.code}`, done);
    const row = rowOf(place);
    if (what === "remove" && row) {
      row.classList.replace("public", "removed");
      step(row, 1);
    }
  } catch (problem) {
    complain(problem);
  }
}

async function undo() {
  if (!last) {
    return;
  }
  try {
    await ask("undo.json", { done: last.done ?? 0, measure: last.measure ?? "" });
    tell(find("#last p")?.dataset.undone ?? "", null);
  } catch (problem) {
    complain(problem);
  }
}

/** Go to a neighbour of a row. @param {Element | null} from @param {1 | -1} way down or up */
function step(from, way) {
  let next = way > 0 ? from?.nextElementSibling : from?.previousElementSibling;
  while (next && next.classList.contains("removed")) {
    next = way > 0 ? next.nextElementSibling : next.previousElementSibling;
  }
  /** @type {HTMLElement | null | undefined} */ (next)?.focus();
}

function hold() {
  paused = !paused;
  find("#pause")?.setAttribute("aria-pressed", String(paused));
}

/** @param {KeyboardEvent} event @returns {boolean} whether it was one of ours */
function press(event) {
  const row = /** @type {HTMLElement | null} */ (document.activeElement?.closest?.("#stream .row") ?? null);
  const place = row?.dataset.place ?? "";
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (row) {
      step(row, event.key === "ArrowDown" ? 1 : -1);
    } else {
      /** @type {HTMLElement | null} */ (stream.querySelector(".row.public"))?.focus();
    }
    return true;
  }
  if (/^[1-9]$/.test(event.key)) {
    const radio = /** @type {HTMLInputElement | undefined} */ (act?.querySelectorAll('input[name="reason"]')[Number(event.key) - 1]);
    if (radio) {
      radio.checked = true;
    }
    return radio !== undefined;
  }
  /** @type {Record<string, () => void>} */
  const keys = { r: () => void perform("remove", place), m: () => void perform("mute", place), u: () => void undo(), p: hold };
  const key = event.key.toLowerCase();
  if (!keys[key] || ((key === "r" || key === "m") && !row)) {
    return false;
  }
  keys[key]();
  return true;
}

function listen() {
  const areOn = keySwitch();
  addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !isWriting(event);
    const radio = /** @type {HTMLElement} */ (event.target).matches('input[type="radio"]') && event.key.startsWith("Arrow");
    if (plain && !radio && areOn() && press(event)) {
      event.preventDefault();
    }
  });
  act?.addEventListener("submit", (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    if (button && (button.name === "remove" || button.name === "mute")) {
      event.preventDefault();
      void perform(button.name, button.value);
    }
  });
  find("#undo-form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void undo();
  });
  find("#pause")?.addEventListener("click", hold);
}

const decision = Number(/** @type {HTMLInputElement | null} */ (document.querySelector('#undo-form [name="decision"]'))?.value ?? 0);
const measure = /** @type {HTMLInputElement | null} */ (document.querySelector('#undo-form [name="measure"]'))?.value ?? "";
if (decision || measure) {
  last = { done: decision, measure };
}
listen();
find("#patrol-keys")?.removeAttribute("hidden");
if (stream.dataset.live) {
  find("#flow")?.removeAttribute("hidden");
  const source = new EventSource(`/staff/patrol/stream?room=${encodeURIComponent(stream.dataset.room ?? "")}`);
  source.addEventListener("seen", (message) => show(JSON.parse(message.data)));
  addEventListener("pagehide", () => source.close());
}
