/**
 * The overlay: comments that fly or stand over the picture.
 *
 * Bounds. At most `LIMITS[density]` comments are on the screen and at most `WAITING_MOST` wait for a free place, each for a short time;
 * all others are dropped and counted. Dropped means: not in the picture. Every comment stands in the list and on the pages.
 *
 * Motion is the browser's own (Web Animations on `transform`), so nothing runs per frame here; while comments wait for a place, one
 * timer looks for it. Text only ever enters the document as text.
 */

import { MovingPlane, StandingPlane } from "./lanes.js";

/** @typedef {import("./barrage.js").Comment} Comment */
/**
 * @typedef {object} Preferences
 * @property {boolean} on
 * @property {"auto" | "fly" | "list"} motion  `auto`: stand still where the system asks for reduced motion
 * @property {"few" | "normal" | "many"} density
 * @property {number} speed  1: through the stage in 7 s @property {number} opacity  0 to 1
 * @property {number} area  part of the stage's height in use @property {number} scale  factor of the text's size
 */
/** @typedef {{shown: number, dropped: number, active: number, waiting: number}} Counts */
/** @typedef {{comment: Comment, own: boolean, deadline: number, font: number, width: number}} Waiting */
/** @typedef {{seq: number, comment: Comment, element: HTMLElement, animation: Animation}} Item */

/** @type {Preferences} */
export const PREFERENCES = { on: true, motion: "auto", density: "normal", speed: 1, opacity: 1, area: 0.75, scale: 1 };

/** Most comments on the screen at once. */
export const LIMITS = { few: 16, normal: 50, many: 120 };

const WAITING_MOST = 60;
const WAIT_MS = 1_200;
const WAIT_OWN_MS = 8_000;
const RETRY_MS = 60;
const CROSSING_MS = 7_000;
const STANDING_MS = 4_500;
const LIST_MOST = 6;
const LIST_EVERY_MS = 500;
const GAP_PX = 28;
const LINE = 1.4; // height of a lane, in font sizes
const NORMAL_SIZE = 25;
const BADGE = { size: 0.72, padding: 0.4, margin: 0.4 }; // of a label, in its comment's and its own font sizes; see .fly .badge
const FAMILY = 'system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif';

export class Overlay {
  /** @type {Preferences} */ #preferences = { ...PREFERENCES };
  /** @type {Map<number, Item>} */ #items = new Map();
  /** @type {Waiting[]} */ #waiting = [];
  /** @type {Comment[]} */ #list = [];
  /** @type {HTMLElement[]} */ #spare = [];
  #shown = 0;
  #dropped = 0;
  /** @type {Set<string>} */ #pauses = new Set();
  #stopped = 0; // sum of all pauses until now, in ms
  #pausedAt = 0;
  /** @type {number | undefined} */ #timer = undefined;
  /** @type {number | undefined} */ #listTimer = undefined;

  /**
   * @param {HTMLElement} layer  a positioned element over the picture; it is this object's own
   * @param {(counts: Counts) => void} onCounts  called after each change
   */
  constructor(layer, onCounts) {
    this.layer = layer;
    this.onCounts = onCounts;
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
    this.reduced.addEventListener("change", () => this.clear());
    // The stage as it was measured last, in CSS pixels; `unit` is the font size of a comment of normal size.
    this.width = 0;
    this.height = 0;
    this.unit = 15;
    this.area = 0;
    this.planes = this.#planes();
    this.pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    new ResizeObserver(() => this.#measureStage()).observe(layer);
    this.#measureStage();
  }

  /** @returns {Readonly<Preferences>} */
  get preferences() {
    return this.#preferences;
  }

  /** @returns {Counts} */
  get counts() {
    return { shown: this.#shown, dropped: this.#dropped, active: this.#items.size, waiting: this.#waiting.length };
  }

  /** Whether comments stand still in a short list instead of moving. */
  get still() {
    return this.#preferences.motion === "list" || (this.#preferences.motion === "auto" && this.reduced.matches);
  }

  get paused() {
    return this.#pauses.size > 0;
  }

  /** @param {Partial<Preferences>} changes */
  configure(changes) {
    const before = this.still;
    this.#preferences = { ...this.#preferences, ...changes };
    this.layer.hidden = !this.#preferences.on;
    this.layer.style.opacity = String(this.#preferences.opacity);
    if (before !== this.still || !this.#preferences.on) {
      this.clear();
    }
    this.#measureStage();
  }

  /**
   * Show a comment now, or when there is a place for it.
   * @param {Comment} comment @param {{own?: boolean}} [options]  one's own is never the one that is dropped
   */
  add(comment, { own = false } = {}) {
    if (!this.#preferences.on || document.hidden) {
      return;
    }
    if (this.paused) {
      this.#drop(1);
      return;
    }
    if (this.still) {
      this.#enlist(comment);
      return;
    }
    const font = Math.round((comment.size / NORMAL_SIZE) * this.unit);
    this.pen.font = `600 ${font}px ${FAMILY}`;
    const { size, padding, margin } = BADGE;
    const badge = comment.label === undefined ? 0 : this.pen.measureText(comment.label.text).width + (2 * padding + margin) * font;
    const width = Math.ceil(this.pen.measureText(comment.text).width + badge * size) + font * 0.5;
    const deadline = this.#now() + (own ? WAIT_OWN_MS : WAIT_MS);
    const entry = { comment, own, deadline, font, width };
    if (!this.#place(entry)) {
      this.#wait(entry);
    }
    this.onCounts(this.counts);
  }

  /** Take a comment off the screen at once. @param {number} seq */
  remove(seq) {
    this.#waiting = this.#waiting.filter(({ comment }) => comment.seq !== seq);
    const item = this.#items.get(seq);
    if (item !== undefined) {
      item.animation.cancel();
      this.#release(item);
    }
    if (this.#list.some((comment) => comment.seq === seq)) {
      this.#list = this.#list.filter((comment) => comment.seq !== seq);
      this.#drawList();
    }
    this.onCounts(this.counts);
  }

  /** Hold or go on; several reasons may hold at the same time. @param {string} reason @param {boolean} hold */
  pause(reason, hold) {
    const before = this.paused;
    if (hold) {
      this.#pauses.add(reason);
    } else {
      this.#pauses.delete(reason);
    }
    if (before === this.paused) {
      return;
    }
    if (this.paused) {
      this.#pausedAt = performance.now();
      this.#items.forEach(({ animation }) => animation.pause());
    } else {
      this.#stopped += performance.now() - this.#pausedAt;
      this.#items.forEach(({ animation }) => animation.play());
      this.#lookLater();
    }
  }

  /**
   * The comment at a point of the window, the one in front where several are; null: there is none. The layer itself takes no clicks, so
   * that the picture's own controls do.
   * @param {number} x @param {number} y @returns {Comment | null}
   */
  at(x, y) {
    if (this.layer.hidden) {
      return null;
    }
    const hits = (/** @type {Element} */ element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return x >= left && x <= right && y >= top && y <= bottom;
    };
    const line = [...this.layer.querySelectorAll(".still span")].findIndex(hits);
    if (line >= 0) {
      return this.#list[line] ?? null;
    }
    return [...this.#items.values()].reverse().find(({ element }) => hits(element))?.comment ?? null;
  }

  /** Empty the screen. */
  clear() {
    for (const item of [...this.#items.values()]) {
      item.animation.cancel();
      this.#release(item);
    }
    this.#waiting = [];
    this.#list = [];
    this.#drawList();
    this.planes = this.#planes();
    this.onCounts(this.counts);
  }

  // -- places ----------------------------------------------------------------------------------------------------------

  /** The overlay's clock: it stands still while paused, as the animations do. */
  #now() {
    return (this.paused ? this.#pausedAt : performance.now()) - this.#stopped;
  }

  /** Take the stage as it is now. What is on the screen was placed for the stage as it was, so a change empties the screen. */
  #measureStage() {
    const { clientWidth, clientHeight } = this.layer;
    const unit = Math.min(28, Math.max(15, clientHeight / 20)) * this.#preferences.scale;
    const area = clientHeight * this.#preferences.area;
    if (clientWidth !== this.width || clientHeight !== this.height || unit !== this.unit || area !== this.area) {
      Object.assign(this, { width: clientWidth, height: clientHeight, unit, area });
      this.clear();
    }
  }

  /** Empty planes. */
  #planes() {
    const lane = this.unit * LINE;
    return {
      moving: new MovingPlane(Math.floor(this.area / lane), this.width, GAP_PX),
      standing: new StandingPlane(Math.floor(this.height / lane)),
    };
  }

  /** @param {Waiting} entry @returns {boolean} whether it is on the screen now */
  #place(entry) {
    const { comment, font, width, own } = entry;
    if (this.#items.size >= LIMITS[this.#preferences.density]) {
      return false;
    }
    const { moving, standing } = this.planes;
    const lane = this.unit * LINE;
    const span = Math.max(1, Math.ceil((font * LINE) / lane - 0.01));
    const start = this.#now();
    if (comment.mode === "top" || comment.mode === "bottom") {
      const first = standing.place(comment.mode, start, STANDING_MS, span);
      if (first < 0) {
        return false;
      }
      const top = comment.mode === "top" ? first * lane : this.height - (standing.until.length - first) * lane;
      this.#show(entry, top, [{ opacity: 1 }, { opacity: 1 }], STANDING_MS, own);
      return true;
    }
    const direction = comment.mode === "reverse" ? -1 : 1;
    const duration = CROSSING_MS / this.#preferences.speed;
    const first = moving.place({ start, duration, width, direction }, span);
    if (first < 0) {
      return false;
    }
    const path = [`translateX(${this.width}px)`, `translateX(${-width}px)`];
    const frames = (direction === 1 ? path : path.reverse()).map((transform) => ({ transform }));
    this.#show(entry, first * lane, frames, duration, own);
    return true;
  }

  /** @param {Waiting} entry @param {number} top @param {Keyframe[]} frames @param {number} duration @param {boolean} own */
  #show({ comment, font, width }, top, frames, duration, own) {
    const element = this.#spare.pop() ?? document.createElement("span");
    element.className = `fly ${comment.mode}${own ? " own" : ""}`;
    write(element, comment);
    element.style.color = comment.color;
    element.style.fontSize = `${font}px`;
    element.style.top = `${top}px`;
    element.style.minWidth = comment.mode === "top" || comment.mode === "bottom" ? "" : `${width}px`;
    this.layer.append(element);
    const animation = element.animate(frames, { duration, fill: "both" });
    const item = { seq: comment.seq, comment, element, animation };
    animation.onfinish = () => {
      this.#release(item);
      this.onCounts(this.counts);
    };
    this.#items.set(comment.seq, item);
    this.#shown += 1;
  }

  /** @param {Item} item */
  #release(item) {
    item.animation.onfinish = null;
    item.animation.cancel();
    item.element.remove();
    if (this.#items.get(item.seq) === item) {
      this.#items.delete(item.seq);
      this.#spare.push(item.element);
    }
  }

  // -- waiting ---------------------------------------------------------------------------------------------------------

  /** @param {Waiting} entry */
  #wait(entry) {
    if (this.#waiting.length >= WAITING_MOST) {
      const victim = entry.own ? this.#waiting.findIndex(({ own }) => !own) : -1;
      this.#drop(1);
      if (victim < 0) {
        return;
      }
      this.#waiting.splice(victim, 1);
    }
    this.#waiting.push(entry);
    this.#lookLater();
  }

  #lookLater() {
    if (this.#timer === undefined && this.#waiting.length > 0 && !this.paused) {
      this.#timer = window.setTimeout(() => {
        this.#timer = undefined;
        this.#look();
      }, RETRY_MS);
    }
  }

  #look() {
    if (this.paused) {
      return; // going on looks again
    }
    const now = this.#now();
    const still = this.#waiting.filter((entry) => !this.#place(entry));
    this.#waiting = still.filter(({ deadline }) => deadline > now);
    this.#drop(still.length - this.#waiting.length);
    this.#lookLater();
    this.onCounts(this.counts);
  }

  /** @param {number} count */
  #drop(count) {
    this.#dropped += count;
    this.onCounts(this.counts);
  }

  // -- standing still --------------------------------------------------------------------------------------------------

  /** @param {Comment} comment */
  #enlist(comment) {
    this.#list.push(comment);
    this.#shown += 1;
    if (this.#list.length > LIST_MOST) {
      this.#list.shift();
    }
    if (this.#listTimer === undefined) {
      this.#drawList();
      this.#listTimer = window.setTimeout(() => {
        this.#listTimer = undefined;
        this.#drawList();
      }, LIST_EVERY_MS);
    }
    this.onCounts(this.counts);
  }

  /** The newest few, without motion, changed at most every `LIST_EVERY_MS`. */
  #drawList() {
    this.layer.querySelectorAll(".still").forEach((element) => element.remove());
    if (this.#list.length === 0) {
      return;
    }
    const box = document.createElement("div");
    box.className = "still";
    for (const comment of this.#list) {
      const line = document.createElement("span");
      write(line, comment);
      line.style.color = comment.color;
      box.append(line);
    }
    this.layer.append(box);
  }
}

/** Text, and before it the label of a public account: a box of its own, which no text looks like. @param {HTMLElement} element @param {Comment} comment */
function write(element, { text, label }) {
  element.textContent = text;
  if (label !== undefined) {
    const badge = document.createElement("b");
    badge.className = "badge";
    badge.textContent = label.text;
    element.prepend(badge);
  }
}
