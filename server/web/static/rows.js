/**
 * The list of comments on the room's page: the rows that the server rendered, and those of events that came since.
 *
 * A new row is a copy of a template that the server rendered by the same code as the static pages, so both have the same markup.
 * Templates carry sample values: numbers (`SAMPLE`) stand in texts and addresses and are replaced there; the rest is set by element.
 * Values only ever enter the document as text or as the value of an attribute.
 *
 * Bounds: at most `most` rows stand in the document and at most `most` events wait while the reader reads; older ones stand on the pages.
 */

/** @typedef {import("./barrage.js").RoomEvent} RoomEvent */
/** @typedef {import("./barrage.js").Comment} Comment */
/** @typedef {{code: string, basis: string, role: string}} Why */
/**
 * @typedef {object} RowsOptions
 * @property {string} timeZone  IANA name
 * @property {number} most
 * @property {number} pageRows  events of a static page
 * @property {Record<"roles" | "families" | "modes" | "categories", Record<string, string>>} labels
 * @property {Record<string, string>} regions  names of regions in the reader's language, where that is not the regions' own
 * @property {() => boolean} reading  whether the reader reads something further down, so that new rows must wait
 * @property {(waiting: number) => void} onWaiting
 * @property {(article: HTMLElement, event: Comment) => void} [decorate]  called for each new row of a comment
 */

/** Numbers in the templates that stand for the event's own number and for its target's; both lie at the start of a page. */
export const SAMPLE = { seq: 900000001, target: 800000001 };

const BATCH_MS = 120;
const MINUTE_MS = 60_000;

/** A position for people: `4:05`, `1:02:03`. @param {number} ms @returns {string} */
export function clock(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/**
 * Makes the text and the `datetime` of a moment in a time zone, as the server writes them.
 * @param {string} timeZone @returns {(at_ms: number) => {text: string, datetime: string}}
 */
export function timeFormat(timeZone) {
  /** @type {Intl.DateTimeFormatOptions} */
  const fields = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const format = new Intl.DateTimeFormat("en-US", { ...fields, timeZone, hourCycle: "h23" });
  return (at_ms) => {
    const part = Object.fromEntries(format.formatToParts(at_ms).map(({ type, value }) => [type, value]));
    const date = `${part.year}-${part.month}-${part.day}`;
    const time = `${part.hour}:${part.minute}:${part.second}`;
    const local = Date.UTC(+part.year, +part.month - 1, +part.day, +part.hour, +part.minute, +part.second);
    const offset = Math.round((local - Math.floor(at_ms / 1000) * 1000) / MINUTE_MS);
    const sign = offset < 0 ? "-" : "+";
    const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, "0");
    const minutes = String(Math.abs(offset) % 60).padStart(2, "0");
    const ms = String(((at_ms % 1000) + 1000) % 1000).padStart(3, "0");
    return { text: `${date} ${time}`, datetime: `${date}T${time}.${ms}${sign}${hours}:${minutes}` };
  };
}

export class Rows {
  /** @type {RoomEvent[]} */ #waiting = [];
  /** @type {number | undefined} */ #timer = undefined;
  #drawnAt = 0;

  /** @param {HTMLElement} container  newest row first @param {HTMLTemplateElement} templates @param {RowsOptions} options */
  constructor(container, templates, options) {
    this.container = container;
    this.options = options;
    this.format = timeFormat(options.timeZone);
    /** @type {Record<string, Element>} */
    this.templates = {};
    for (const element of templates.content.querySelectorAll("[data-kind]")) {
      const article = /** @type {Element} */ (element.firstElementChild);
      this.templates[/** @type {HTMLElement} */ (element).dataset.kind ?? ""] = article;
    }
  }

  /** The number of the oldest row here; 0: there is none. */
  get oldest() {
    return Number(this.container.lastElementChild?.id.slice(1) ?? 0);
  }

  /** Take events, in order. Removals and restorations change the row of their comment at once, whoever reads. @param {RoomEvent[]} events */
  add(events) {
    for (const event of events) {
      if (event.kind === "removal" || event.kind === "restoration") {
        this.#change(event);
      }
    }
    this.#waiting = [...this.#waiting, ...events].slice(-this.options.most);
    this.look();
  }

  /** Show what waits, now if nothing was shown a moment ago, unless the reader is reading. */
  look() {
    if (this.options.reading()) {
      this.options.onWaiting(this.#waiting.length);
      return;
    }
    if (this.#timer === undefined && this.#waiting.length > 0) {
      const wait = Math.max(0, this.#drawnAt + BATCH_MS - performance.now());
      this.#timer = window.setTimeout(() => {
        this.#timer = undefined;
        this.show();
      }, wait);
    }
  }

  /** Show what waits, whoever reads. */
  show() {
    const block = document.createDocumentFragment();
    for (const event of this.#waiting) {
      block.prepend(this.#article(event), "\n");
    }
    this.#waiting = [];
    this.#drawnAt = performance.now();
    this.container.prepend(block);
    while (this.container.childElementCount > this.options.most) {
      this.container.lastElementChild?.remove();
    }
    this.options.onWaiting(0);
  }

  /** The row of a comment, if it stands here. @param {number} seq @returns {HTMLElement | null} */
  find(seq) {
    const element = document.getElementById(`c${seq}`);
    return element !== null && this.container.contains(element) ? element : null;
  }

  // -- changes ---------------------------------------------------------------------------------------------------------

  /** @param {import("./barrage.js").Removal | import("./barrage.js").Restoration} event */
  #change(event) {
    this.#waiting = this.#waiting.map((waiting) => changed(waiting, event));
    const article = this.find(event.target);
    if (article === null) {
      return;
    }
    const before = article.querySelector("time");
    const shell = { seq: event.target, kind: /** @type {const} */ ("comment"), at_ms: 0 };
    const pos_ms = Number(article.querySelector("data")?.value ?? 0);
    const next =
      event.kind === "removal"
        ? this.#article({ ...shell, pos_ms, removed: { ...event, by: event.seq } })
        : this.#article({ ...shell, ...event.comment });
    const after = next.querySelector("time");
    if (before !== null && after !== null) {
      // The comment's own moment is known from its row only.
      after.dateTime = before.dateTime;
      after.textContent = before.textContent;
    }
    article.replaceWith(next);
  }

  // -- rows ------------------------------------------------------------------------------------------------------------

  /** @param {RoomEvent} event @returns {Element} */
  #article(event) {
    if (event.kind === "comment") {
      return "removed" in event ? this.#tombstone(event) : this.#comment(event);
    }
    if (event.kind === "notice") {
      return this.#notice(event);
    }
    const article = this.#copy(event.kind, event.seq, event.target);
    this.#why(article, event);
    this.#time(article, event.at_ms);
    return article;
  }

  /** @param {Comment} event */
  #comment(event) {
    const article = this.#copy("comment", event.seq);
    this.#position(article, event.pos_ms);
    this.#time(article, event.at_ms);
    set(article, ".text", event.text);
    set(article, '[itemprop="name"]', event.author.name);
    this.#about(article, event);
    this.options.decorate?.(/** @type {HTMLElement} */ (article), event);
    return article;
  }

  /** Label and region, which the server gives: elements of their own, absent where there are none. @param {Element} article @param {Comment} event */
  #about(article, { label, region }) {
    const badge = article.querySelector(".badge");
    if (label === undefined) {
      drop(badge);
    } else if (badge !== null) {
      const { categories } = this.options.labels;
      const words = Object.hasOwn(categories, label.kind) ? categories[label.kind] : "";
      badge.className = `badge ${words || label.kind === "creator" ? label.kind : "other"}`;
      set(badge, "bdi", label.text);
      set(badge, ".kind", words);
      if (!words) {
        drop(badge.querySelector(".kind"));
      }
    }
    const place = /** @type {HTMLDataElement | null} */ (article.querySelector(".region"));
    if (region === undefined) {
      drop(place);
    } else if (place !== null) {
      const name = Object.hasOwn(this.options.regions, region) ? this.options.regions[region] : region;
      place.textContent = (place.textContent ?? "").replace(place.value, () => name);
      place.value = region;
    }
  }

  /** @param {import("./barrage.js").Tombstone} event */
  #tombstone(event) {
    const article = this.#copy("tombstone", event.seq, event.removed.by);
    this.#position(article, event.pos_ms);
    this.#time(article, event.at_ms);
    this.#why(article, event.removed);
    return article;
  }

  /** @param {import("./barrage.js").Notice} event */
  #notice(event) {
    const article = this.#copy(event.notice, event.seq);
    this.#time(/** @type {Element} */ (article.querySelector("footer")), event.at_ms);
    set(article, ".text", event.text ?? "");
    if (!event.text) {
      article.querySelector(".text")?.remove();
    }
    set(article, "strong", this.options.labels.modes[event.mode ?? ""] ?? event.mode ?? "");
    const until = article.querySelector(".until");
    if (event.until_ms === undefined) {
      until?.previousSibling?.remove(); // the space before it
      until?.remove();
    } else {
      this.#time(/** @type {Element} */ (until), event.until_ms);
    }
    if (event.code === undefined) {
      article.querySelector(".why")?.remove();
    } else {
      this.#why(article, { code: event.code, basis: event.basis ?? "", role: event.role ?? "" });
    }
    return article;
  }

  /** @param {Element} article @param {number} pos_ms */
  #position(article, pos_ms) {
    const data = /** @type {HTMLDataElement} */ (article.querySelector("data"));
    data.value = String(pos_ms);
    data.textContent = clock(pos_ms);
  }

  /** @param {Element} article @param {number} at_ms */
  #time(article, at_ms) {
    const time = /** @type {HTMLTimeElement} */ (article.querySelector("time"));
    const { text, datetime } = this.format(at_ms);
    time.dateTime = datetime;
    time.textContent = text;
  }

  /** @param {Element} article @param {Why} why */
  #why(article, { code, basis, role }) {
    const [codeCell, basisCell, roleCell] = article.querySelectorAll("dd");
    const family = this.options.labels.families[code.slice(0, 1)];
    const bdi = document.createElement("bdi");
    bdi.textContent = code;
    codeCell.replaceChildren(bdi, ...(family === undefined ? [] : [` ${family}`]));
    set(basisCell, "bdi", basis);
    roleCell.textContent = this.options.labels.roles[role] ?? role;
  }

  /**
   * A copy of a template with its sample numbers replaced, in texts and attributes.
   * @param {string} kind @param {number} seq @param {number} [target] @returns {Element}
   */
  #copy(kind, seq, target = SAMPLE.target) {
    const article = /** @type {Element} */ (this.templates[kind].cloneNode(true));
    const page = (/** @type {number} */ n) => Math.floor((n - 1) / this.options.pageRows);
    const replaced = (/** @type {string} */ text) =>
      text
        .replaceAll(`/${page(SAMPLE.target)}.html`, `/${page(target)}.html`)
        .replaceAll(String(SAMPLE.seq), String(seq))
        .replaceAll(String(SAMPLE.target), String(target));
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.currentNode; node !== null; node = /** @type {Node} */ (walker.nextNode())) {
      if (node instanceof Element) {
        for (const attribute of node.attributes) {
          attribute.value = replaced(attribute.value);
        }
      } else if (node.nodeValue !== null) {
        node.nodeValue = replaced(node.nodeValue);
      }
    }
    return article;
  }
}

/**
 * What an event that waits becomes by a removal or restoration.
 * @param {RoomEvent} waiting @param {import("./barrage.js").Removal | import("./barrage.js").Restoration} event @returns {RoomEvent}
 */
function changed(waiting, event) {
  if (waiting.seq !== event.target || waiting.kind !== "comment") {
    return waiting;
  }
  const { seq, kind, at_ms, pos_ms } = waiting;
  return event.kind === "removal"
    ? { seq, kind, at_ms, pos_ms, removed: { by: event.seq, code: event.code, basis: event.basis, role: event.role } }
    : { seq, kind, at_ms, ...event.comment };
}

/** Take an element out, with the space before it. @param {Element | null} element */
function drop(element) {
  element?.previousSibling?.remove();
  element?.remove();
}

/** @param {Element} within @param {string} selector @param {string} text */
function set(within, selector, text) {
  const element = within.querySelector(selector);
  if (element !== null) {
    element.textContent = text;
  }
}
