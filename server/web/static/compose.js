/** Posting: the form, who one is, and what became of one's own comments. */

import { t } from "./words.js";

/** @typedef {import("./barrage.js").Barrage} Barrage */
/** @typedef {import("./barrage.js").Outcome} Outcome */
/** @typedef {{id: string, name: string, verified: boolean}} Identity */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** The server's sentence in the page's language. @param {{message?: string, message_zh?: string}} refusal @returns {string} */
export function sentence({ message, message_zh }) {
  return (document.documentElement.lang.startsWith("zh") ? message_zh : message) ?? "";
}

/** Whoever is signed in here gets short-lived tokens for the player from the session; they are asked for anew in time. */
const RENEW_AT = 0.7; // of a token's life
const RENEW_LEAST_MS = 10_000;
const RENEW_AGAIN_MS = 30_000;
const HTTP_SERVER_ERROR = 500;

/** The token of a host page lives as long as the tab, so that a reload stays signed in. */
const KEY = "barrage.token";

/** @param {string} token */
function keepToken(token) {
  try {
    if (token) {
      sessionStorage.setItem(KEY, token);
    } else {
      sessionStorage.removeItem(KEY);
    }
  } catch {
    // Storage is forbidden: signed in for this page only.
  }
}

/** The token that the host page handed over in the address (`#token=...`, taken out of it at once), or that was kept. @returns {string} */
export function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given !== null) {
    fragment.delete("token");
    const rest = fragment.toString();
    history.replaceState(history.state, "", location.pathname + location.search + (rest && `#${rest}`));
    keepToken(given);
    return given;
  }
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** Tokens for the player out of the session's cookie. */
export class SessionTokens {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {string} formToken  of the page @param {() => void} onEnded  the session is over, or another one: the page is out of date */
  constructor(formToken, onEnded) {
    this.formToken = formToken;
    this.onEnded = onEnded;
  }

  /** Sign the client in, and keep it signed in. @param {Barrage} client */
  async keep(client) {
    const wait_ms = await this.#renew(client);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.keep(client), Math.max(RENEW_LEAST_MS, wait_ms));
  }

  /** Give the client a fresh token; after how long the next one is due. @param {Barrage} client @returns {Promise<number>} */
  async #renew(client) {
    try {
      const headers = { "X-Barrage-Form-Token": this.formToken };
      const response = await fetch("/api/v1/session/token", { method: "POST", headers });
      if (response.ok) {
        const { token, expires_ms, now_ms } = await response.json();
        client.setToken(token);
        return (expires_ms - now_ms) * RENEW_AT;
      }
      if (response.status < HTTP_SERVER_ERROR) {
        this.onEnded();
      }
    } catch {
      // No network: the connection will not be there either.
    }
    return RENEW_AGAIN_MS;
  }
}

/**
 * The mode of a room as the server's `joined` and `state` tell it.
 * @typedef {object} RoomMode
 * @property {string} mode @property {number} [until_ms] its end @property {number} [slow_ms] the pace of a slow room
 * @property {boolean} [news] comments wait for review in any case
 */

export class Compose {
  /** @type {Identity | null} */ #identity = null;
  #mode = "";

  /**
   * @param {Barrage} client
   * @param {{mode: string, ways: Record<string, [string, string]>, missing: boolean, session: SessionTokens | null, position_ms: () => number | undefined, format: ReturnType<typeof import("./rows.js").timeFormat>}} options
   *   `mode` of the room; `ways`: page and its label by refusal code; `missing`: a step is, before whoever is signed in here may
   *   post; `session`: theirs; `position_ms`: where
   *   in the video, undefined when live; `format`: of moments, as the rows have them
   */
  constructor(client, options) {
    this.client = client;
    this.options = options;
    this.#mode = options.mode;
    this.form = /** @type {HTMLFormElement} */ (byId("say"));
    this.input = /** @type {HTMLInputElement} */ (byId("text"));
    this.status = /** @type {HTMLElement} */ (byId("status"));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    client.addEventListener("hello", (event) => this.#onHello(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("letter", (event) => this.#onLetter(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("problem", (event) => this.#onProblem(/** @type {CustomEvent} */ (event).detail));
    this.#show();
  }

  /** The public id of whom we post as; empty when only reading. */
  get id() {
    return this.#identity?.id ?? "";
  }

  /**
   * Tell something that concerns one's own doing. @param {string} text @param {"" | "good" | "bad" | "visually-hidden"} [tone]
   * @param {string} [code]  of a refusal: where it can be mended, the way there stands beside it
   */
  tell(text, tone = "", code = "") {
    this.status.textContent = text;
    this.status.className = tone;
    const way = Object.hasOwn(this.options.ways, code) ? this.options.ways[code] : undefined;
    if (way !== undefined) {
      const link = document.createElement("a");
      const [path, fragment] = way[0].split("#");
      link.href = `${path}?return=${location.pathname}${fragment ? `#${fragment}` : ""}`;
      link.target = "_top"; // pages of the account refuse to be in a frame
      link.textContent = way[1];
      this.status.append(" ", link);
    }
    byId("outcome")?.remove(); // what was posted without script is over
  }

  /**
   * The mode in force, from the server: what it means for whoever posts stands by the field as long as it holds, and a change is told.
   * @param {RoomMode} state
   */
  setMode(state) {
    const words = this.#modeWords(state);
    const note = byId("mode");
    note.textContent = words;
    note.hidden = words === "";
    if (state.mode !== this.#mode) {
      this.#mode = state.mode;
      this.#show();
      // What stands by the field already is told only to those who do not see it come.
      this.tell(words || t("mode_open"), words && "visually-hidden");
    }
  }

  /** @param {RoomMode} state */
  #modeWords({ mode, until_ms = 0, slow_ms = 0, news = false }) {
    const key = mode === "open" || mode === "slow" || mode === "shield" ? (news ? "mode_news" : `mode_${mode}`) : `mode_${mode}`;
    const words = key === "mode_open" ? "" : t(key, { s: Math.ceil(slow_ms / 1000) });
    if (words === "" || until_ms === 0) {
      return words;
    }
    return `${words} ${t("mode_until", { time: this.options.format(until_ms).text.slice(0, -":00".length) })}`;
  }

  /** Take back one's own comment. @param {number} seq */
  async recall(seq) {
    this.#report(await this.client.recall(seq), t("recalled"));
  }

  // -- posting ---------------------------------------------------------------------------------------------------------

  async #submit() {
    const text = this.input.value.trim();
    if (!text) {
      this.tell(t("empty"));
      return;
    }
    const style = new FormData(this.form);
    const position = this.options.position_ms();
    this.input.value = "";
    this.tell(t("pending"));
    const outcome = await this.client.say({
      text,
      mode: /** @type {import("./barrage.js").Mode} */ (style.get("mode")),
      color: String(style.get("color")),
      size: Number(style.get("size")),
      ...(position !== undefined && { pos_ms: position }),
    });
    this.#report(outcome, t("acked"));
    const mayTryAgain = outcome.outcome === "refused" || outcome.outcome === "failed";
    if (mayTryAgain && this.input.value === "") {
      this.input.value = text;
    }
  }

  /** @param {Outcome} outcome @param {string} success */
  #report(outcome, success) {
    switch (outcome.outcome) {
      case "acked":
        this.tell(success, "good");
        break;
      case "held":
        this.tell(sentence(outcome) || t("held"));
        break;
      case "refused":
        this.tell(sentence(outcome), "bad", outcome.code);
        break;
      case "failed":
        this.tell(t(outcome.code === "too_many_pending" ? "too_many" : "failed"), "bad");
        break;
      default:
        this.tell(t("unknown"), "bad");
    }
  }

  // -- who -------------------------------------------------------------------------------------------------------------

  /** @param {{identity: Identity | null, limits: {text_max: number}}} hello */
  #onHello({ identity, limits }) {
    const before = this.#identity?.id;
    this.#identity = identity;
    this.input.maxLength = limits.text_max;
    this.#show();
    if (identity !== null && identity.id !== before) {
      this.tell(t(identity.verified ? "posting_as" : "unverified", { name: identity.name }));
    }
  }

  /** Something was decided about the account, at this moment: the words, and the way to where it stands. @param {{kind: string}} letter */
  #onLetter({ kind }) {
    const key = `letter_${kind}`;
    const words = t(key);
    this.tell(words === key ? t("letter_other") : words);
    const link = document.createElement("a");
    link.href = "/account";
    link.target = "_top";
    link.textContent = t("account");
    this.status.append(" ", link);
  }

  /** @param {{code: string, message: string, message_zh: string}} problem */
  #onProblem(problem) {
    if (problem.code === "token_expired" && this.options.session !== null) {
      this.options.session.keep(this.client); // the computer slept: the session may still be there
      return;
    }
    if (problem.code === "bad_token" || problem.code === "token_expired") {
      keepToken("");
      this.client.token = "";
      this.#identity = null;
      this.#show();
    }
    this.tell(sentence(problem), "bad", problem.code);
  }

  /** Only what works now is shown. */
  #show() {
    const mayPost = this.#identity?.verified === true && !this.options.missing;
    this.form.hidden = !mayPost || this.#mode === "read_only" || this.#mode === "closed";
    byId("signin").hidden = mayPost || (this.#identity !== null && this.options.session === null);
  }
}
