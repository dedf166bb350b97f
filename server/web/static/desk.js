/**
 * Deciding by keys: one key is one decision, and the next item is there at once.
 *
 * Items are claimed ahead and come as the HTML that the page itself has. A decision is sent while the next item is shown already; when
 * the server refuses it, that is said plainly, and what is still one's own comes back. Nothing here decides anything by itself, and
 * without this script the forms of the page do the same.
 */

import { find, isWriting, keySwitch } from "./keys.js";

const AHEAD = 4;
const RENEW_MS = 60_000;
const PACE_AFTER_H = 2 / 60;
const UNDO_TRIES = 8;
const UNDO_PAUSE_MS = 250;

/** @typedef {{ id: number, version: number, html: string }} Item */
/** @typedef {{ id: number, decisions: number[] }} Done */

class Refused extends Error {
  /** @param {number} status @param {{ code?: string, text?: string, detail?: string }} body */
  constructor(status, body) {
    super(body.text ?? String(status));
    this.status = status;
    this.code = body.code ?? "";
    this.detail = body.detail ?? "";
  }
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Desk {
  /** @param {HTMLElement} slot where items are shown */
  constructor(slot) {
    this.slot = slot;
    this.token = /** @type {HTMLInputElement} */ (document.querySelector('input[name="form_token"]')).value;
    /** @type {Item[]} */
    this.ahead = [];
    /** Ids of items that were skipped: claimed still, and not shown again. @type {Set<number>} */
    this.skipped = new Set();
    /** Ids of items whose decisions are on their way. @type {Set<number>} */
    this.deciding = new Set();
    /** @type {Done | null} */
    this.last = null;
    /** The sending under way; one at a time, in the order of deciding. @type {Promise<unknown>} */
    this.sending = Promise.resolve();
    /** The fetching of items under way. @type {Promise<void> | null} */
    this.filling = null;
    this.started = Date.now();
    this.count = 0;
  }

  /** @returns {HTMLElement | null} the item that is shown */
  get item() {
    return this.slot.querySelector(".item");
  }

  get id() {
    return Number(this.item?.dataset.item ?? 0);
  }

  /** Ids of all items that are at hand. @returns {number[]} */
  get held() {
    return [...this.ahead.map((each) => each.id), ...(this.id ? [this.id] : [])];
  }

  /** @param {string} name @param {Record<string, string | number>} values */
  words(name, values = {}) {
    let text = this.slot.dataset[`saying${name}`] ?? "";
    for (const [key, value] of Object.entries(values)) {
      text = text.replace(`{${key}}`, String(value));
    }
    return text;
  }

  /** @param {string} path @param {object} body @returns {Promise<any>} */
  async ask(path, body) {
    const answer = await fetch(`/staff/desk/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Barrage-Form-Token": this.token },
      body: JSON.stringify(body),
    });
    const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    if (!answer.ok || !isJson) {
      throw new Refused(answer.status, isJson ? await answer.json() : { text: this.words("Signin") });
    }
    return answer.json();
  }

  /** Have items at hand. @returns {Promise<void>} done when the fetching under way is */
  fill() {
    if (!this.filling && this.ahead.length < AHEAD) {
      this.filling = this.fetch().finally(() => {
        this.filling = null;
      });
    }
    return this.filling ?? Promise.resolve();
  }

  async fetch() {
    try {
      const have = [...this.held, ...this.skipped, ...this.deciding];
      const { queue, room = "", code = "", author = "", severity = "", older = "" } = this.slot.dataset;
      const number = AHEAD - this.ahead.length;
      const { items } = await this.ask("next", { queue, room, code, author, severity, older, number, have });
      // What was undone or put back meanwhile is here already.
      const known = new Set([...this.held, ...this.skipped, ...this.deciding]);
      this.ahead.push(...items.filter((/** @type {Item} */ each) => !known.has(each.id)));
    } catch (error) {
      this.complain(error);
    }
  }

  /** Show the next item, or that there is none. */
  async next() {
    // The fetching under way may have begun before there was something: then once more.
    for (let tries = 0; tries < 2 && !this.ahead.length; tries++) {
      await this.fill();
    }
    const item = this.ahead.shift();
    if (item) {
      this.show(item);
    } else {
      this.slot.innerHTML = "";
      const nothing = document.createElement("p");
      nothing.className = "nothing";
      nothing.tabIndex = -1;
      nothing.textContent = this.words("Empty");
      const list = document.createElement("a");
      list.href = `/staff/queue?queue=${this.slot.dataset.queue ?? "held"}`;
      list.textContent = this.words("List");
      nothing.append(" ", list);
      this.slot.append(nothing);
      nothing.focus();
    }
    this.offer();
    void this.fill();
  }

  /** Deciding and skipping need an item, and giving back something that one has. */
  offer() {
    const pace = find("#pace");
    if (pace) {
      pace.hidden = !this.slot.querySelector(".decision") && !this.count;
    }
    const skip = find("#skip")?.closest("form");
    const below = find("#below");
    if (skip && below) {
      skip.hidden = !this.item;
      below.hidden = !this.item && !this.skipped.size;
    }
  }

  /** @param {Item} item */
  show(item) {
    this.slot.innerHTML = item.html;
    this.offer();
    const heading = this.slot.querySelector("h1");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    scrollTo({ top: 0 });
    document.title = document.title.replace(/^#\d+/, `#${item.id}`);
    history.replaceState(null, "", `/staff/queue/${item.id}${location.search.replace(/&?done=\d+/, "")}`);
  }

  /** @param {string} act allow or stop */
  decide(act) {
    const form = /** @type {HTMLFormElement | null} */ (this.slot.querySelector(".decision"));
    const item = this.item;
    if (!form || !item || !this.id) {
      return; // none, or one that is decided already while the next one is on its way
    }
    const fields = new FormData(form);
    const shown = { id: this.id, version: Number(item.dataset.version), html: this.slot.innerHTML };
    const body = {
      item: shown.id,
      version: shown.version,
      act,
      code: String(fields.get("reason") ?? ""),
      basis: String(fields.get("basis") ?? "").trim(),
      equal: fields.get("equal") === "1",
    };
    const button = form.querySelector(`[value="${act}"]`);
    const label = `${(button?.firstChild?.textContent ?? act).trim()}${act === "stop" ? ` · ${body.code}` : ""}`;
    this.tell(this.words("Saving"), null);
    this.hush();
    item.dataset.item = "0";
    this.deciding.add(shown.id);
    this.sending = this.sending.then(() => this.send(shown, body, label));
    void this.next();
  }

  /** @param {Item} shown @param {object} body @param {string} label what was decided, in words */
  async send(shown, body, label) {
    try {
      const { decisions, items, changed } = await this.ask("decide", body);
      const gone = new Set(items);
      this.ahead = this.ahead.filter((each) => !gone.has(each.id));
      if (gone.has(this.id)) {
        void this.next(); // an equal text, decided together with the one before
      }
      this.count += decisions.length;
      const parts = [this.words("Decided", { what: label })];
      if (decisions.length > 1) {
        parts.push(this.words("Together", { n: decisions.length }));
      }
      if (changed.length) {
        parts.push(this.words("Left", { n: changed.length }));
      }
      this.tell(parts.join(" · "), { id: shown.id, decisions });
      this.pace();
    } catch (error) {
      this.tell("", null);
      if (error instanceof Refused && error.status === 409) {
        this.warn(`${this.words("Conflict", { id: shown.id })} ${error.message} ${error.detail}`);
      } else {
        this.back(shown);
        this.complain(error);
      }
    } finally {
      this.deciding.delete(shown.id);
    }
  }

  /** What could not be saved is shown again. @param {Item} shown */
  back(shown) {
    const item = this.item;
    if (item && this.id) {
      this.ahead.unshift({ id: this.id, version: Number(item.dataset.version), html: this.slot.innerHTML });
    }
    this.show(shown);
  }

  async undo() {
    await this.sending;
    const last = this.last;
    if (!last) {
      return;
    }
    this.tell(this.words("Saving"), null);
    for (let tries = 1; ; tries++) {
      try {
        const { items } = await this.ask("undo", { decisions: last.decisions, queue: this.slot.dataset.queue ?? "held" });
        this.count -= last.decisions.length;
        this.back(items[0]);
        this.tell(this.words("Undone"), null);
        this.pace();
        return;
      } catch (error) {
        // What was decided is being carried out just now: a moment later it can be taken back.
        if (error instanceof Refused && error.code === "storage_unavailable" && tries < UNDO_TRIES) {
          await pause(UNDO_PAUSE_MS);
          continue;
        }
        this.tell("", last);
        this.complain(error);
        return;
      }
    }
  }

  skip() {
    if (this.id) {
      this.skipped.add(this.id);
      void this.next();
    }
  }

  /** Go on having what is at hand; what is not one's own any more goes away. */
  async renew() {
    const items = this.held;
    if (document.hidden || !items.length) {
      return;
    }
    try {
      const { kept } = await this.ask("keep", { items });
      const mine = new Set(kept);
      this.ahead = this.ahead.filter((each) => mine.has(each.id));
      if (this.id && items.includes(this.id) && !mine.has(this.id) && this.slot.querySelector(".decision")) {
        const id = this.id;
        await this.next();
        this.warn(this.words("Lost", { id }));
      }
    } catch (error) {
      console.warn(error);
    }
  }

  /** Give back what is at hand when the page is left. */
  leave() {
    const items = [...this.held, ...this.skipped];
    if (items.length) {
      const body = new URLSearchParams({ form_token: this.token, items: items.join(",") });
      navigator.sendBeacon("/staff/queue/release", body);
    }
  }

  /** @param {string} text @param {Done | null} last what can be undone */
  tell(text, last) {
    this.last = last;
    const line = find("#last");
    const words = line?.querySelector("p");
    const form = line?.querySelector("form");
    if (line && words && form) {
      line.hidden = !text;
      words.textContent = text;
      form.hidden = !last;
    }
  }

  /** @param {string} text */
  warn(text) {
    const notice = find("#notice");
    if (notice) {
      notice.textContent = text;
      notice.hidden = false;
    }
  }

  hush() {
    const notice = find("#notice");
    if (notice) {
      notice.hidden = true;
    }
  }

  /** @param {unknown} error */
  complain(error) {
    console.warn(error);
    this.warn(error instanceof Refused ? `${error.message} ${error.detail}` : this.words("Offline"));
  }

  pace() {
    const hours = (Date.now() - this.started) / 3_600_000;
    const place = find("#pace");
    if (place && this.count > 0) {
      place.hidden = false;
      place.classList.remove("hint-of-keys");
      const known = hours >= PACE_AFTER_H; // of a few seconds no pace an hour can be told
      place.textContent = known
        ? this.words("Rate", { n: this.count, rate: Math.round(this.count / hours) })
        : this.words("Made", { n: this.count });
    }
  }

  /** @param {number} number of the code's key */
  choose(number) {
    const radio = /** @type {HTMLInputElement | undefined} */ (this.slot.querySelectorAll(".codes input")[number - 1]);
    if (radio) {
      radio.checked = true;
      this.chosen(radio);
    }
  }

  /** The basis that goes with a code. @param {HTMLInputElement} radio */
  chosen(radio) {
    const basis = /** @type {HTMLInputElement | null} */ (this.slot.querySelector('input[name="basis"]'));
    if (basis) {
      basis.placeholder = radio.dataset.basis ?? "";
    }
  }

  /** @param {string} selector of a box to tick or untick */
  toggle(selector) {
    const box = /** @type {HTMLInputElement | null} */ (this.slot.querySelector(selector));
    if (box) {
      box.checked = !box.checked;
    }
  }

  /** @param {string} key @returns {boolean} whether it was one of ours */
  press(key) {
    /** @type {Record<string, () => void>} */
    const keys = {
      a: () => this.decide("allow"),
      r: () => this.decide("stop"),
      e: () => this.toggle('[name="equal"]'),
      v: () => this.toggle(".veil"),
      u: () => void this.undo(),
      s: () => this.skip(),
      b: () => /** @type {HTMLElement | null} */ (this.slot.querySelector('input[name="basis"]'))?.focus(),
      0: () => this.slot.querySelector(".more-codes")?.toggleAttribute("open"),
      "?": () => find("#keys")?.toggleAttribute("open"),
    };
    if (/^[1-9]$/.test(key)) {
      this.choose(Number(key));
      return true;
    }
    const act = keys[key.toLowerCase()];
    act?.();
    return act !== undefined;
  }
}

/** @param {Desk} desk */
function listen(desk) {
  const areOn = keySwitch();
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isWriting(event)) {
      /** @type {HTMLElement} */ (event.target).blur();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat && !isWriting(event) && areOn()) {
      if (desk.press(event.key)) {
        event.preventDefault();
      }
    }
  });
  desk.slot.addEventListener("change", (event) => {
    const target = /** @type {HTMLInputElement} */ (event.target);
    if (target.name === "reason") {
      desk.chosen(target);
    }
  });
  desk.slot.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.classList.contains("decision")) {
      event.preventDefault();
      const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
      desk.decide(button?.value || "stop");
    }
  });
  find("#undo")?.closest("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void desk.undo();
  });
  find("#skip")?.closest("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    desk.skip();
  });
  setInterval(() => void desk.renew(), RENEW_MS);
  addEventListener("pagehide", () => desk.leave());
}

const slot = find("#slot");
if (slot) {
  const desk = new Desk(slot);
  const undoable = /** @type {HTMLInputElement | null} */ (document.querySelector('#last input[name="decision"]'));
  if (undoable?.value) {
    desk.last = { id: 0, decisions: [Number(undoable.value)] };
  }
  listen(desk);
  desk.offer();
  void desk.fill();
}
