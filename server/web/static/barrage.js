/**
 * Barrage client: receives a room's events in order, each exactly once, and posts comments. No dependencies; usable by any front end.
 *
 *     const room = new Barrage({ url: "https://barrage.example", room: "demo", token });
 *     room.addEventListener("events", ({ detail }) => detail.events.forEach(show));
 *     room.connect();
 *     const outcome = await room.say({ text: "好看" });
 *
 * Theory of operation. A room's events are numbered from 1 without holes, within an `epoch`. The client keeps the last number that
 * it has delivered and delivers only the next one. Whatever leaves a hole (a reconnection, a `gap` of the server, a lost message)
 * takes one path: events beyond the hole are parked, the hole is read from the history interface, then the parked ones follow. A hole
 * that is too long, or cannot be read, is announced as `skipped` and never delivered later.
 *
 * A server with more to send than anybody could read leaves comments out of a live message, and the message says for which numbers it
 * stands and how many it leaves out (never one's own: those come just before it, as an `echo`). That is no hole: the client counts, tells
 * `sampled` and goes on, for a crowd that would read the rest at that moment is the last thing such a server needs. The pages have
 * all of it, and a client made with `complete` reads it like a hole.
 *
 * A comment is sent under a key and stays pending until the server settles it. After a reconnection, and after a refusal that
 * concerns only the moment, it is sent again under the same key, which the server never records twice.
 *
 * Events (each a CustomEvent): see {@link BarrageEvents}.
 * @module
 */

/** @typedef {{id: string, name: string}} Author */
/** @typedef {"scroll" | "top" | "bottom" | "reverse"} Mode */
/** The label of a public account. It comes from the server alone: show it apart from the nickname, which its owner chooses. @typedef {{kind: string, text: string}} Label */
/**
 * @typedef {object} Comment
 * @property {number} seq @property {"comment"} kind @property {number} at_ms  Unix time @property {number} pos_ms
 * @property {string} text @property {Mode} mode @property {string} color  #rrggbb @property {number} size @property {Author} author
 * @property {string} [region]  province or country, in Chinese @property {Label} [label]
 */
/**
 * A removed comment as it is read later: why, and by which event, but no text and no author.
 * @typedef {object} Tombstone
 * @property {number} seq @property {"comment"} kind @property {number} at_ms @property {number} pos_ms
 * @property {{by: number, code: string, basis: string, role: string}} removed
 */
/**
 * @typedef {object} Removal
 * @property {number} seq @property {"removal"} kind @property {number} at_ms
 * @property {number} target @property {string} code @property {string} basis @property {string} role
 */
/**
 * @typedef {object} Restoration
 * @property {number} seq @property {"restoration"} kind @property {number} at_ms
 * @property {number} target @property {string} code @property {string} basis @property {string} role
 * @property {{pos_ms: number, text: string, mode: Mode, color: string, size: number, author: Author, region?: string, label?: Label}} comment
 */
/**
 * @typedef {object} Notice
 * @property {number} seq @property {"notice"} kind @property {number} at_ms
 * @property {"mode" | "site_mode" | "announcement"} notice @property {string} [mode] @property {string} [text]
 * @property {number} [until_ms] @property {number} [slow_ms] @property {string} [code] @property {string} [basis] @property {string} [role]
 */
/** @typedef {Comment | Tombstone | Removal | Restoration | Notice} RoomEvent */
/** @typedef {{epoch: string, seq: number}} Since */
/** @typedef {{text: string, mode?: Mode, color?: string, size?: number, pos_ms?: number}} Draft */
/**
 * How a post ended. `acked`: recorded as `seq`. `held`: waits for review. `refused`: the server said no (`code`, `message`,
 * `message_zh`). `failed`: never reached the server. `unknown`: sent, but no answer came.
 * @typedef {object} Outcome
 * @property {"acked" | "held" | "refused" | "failed" | "unknown"} outcome
 * @property {string} key @property {number} [seq] @property {string} [code] @property {string} [message]
 * @property {string} [message_zh] @property {string} [detail] @property {boolean} [temporary] @property {number} [retry_after_ms]
 */
/**
 * `live`: connected. `reading`: connected by the read-only fallback. `waiting`: will try again in `retry_ms`. `closed`: will not try again.
 * @typedef {object} Status
 * @property {"connecting" | "live" | "reading" | "waiting" | "closed"} state @property {number} [retry_ms] @property {number} [code]
 */
/**
 * @typedef {object} BarrageEvents
 * @property {Status} status
 * @property {{identity: Record<string, unknown> | null, limits: Record<string, number>}} hello  who the server takes us for
 * @property {{epoch: string, head: number, state: Record<string, unknown>, page: string}} joined
 * @property {{events: RoomEvent[], live: boolean}} events  in order, without holes; `live`: they happened just now
 * @property {{state: Record<string, unknown>}} state  mode and viewers of the room changed
 * @property {{kind: string, at_ms: number, data: Record<string, unknown>}} letter  the account was told something, as of a measure
 * @property {{from: number, to: number}} gap  a hole was noticed; it is being filled
 * @property {{from: number, to: number, page: string}} skipped  these events are not delivered; they stand on the pages, from `page` on
 * @property {{from: number, to: number, left_out: number}} sampled  so many comments of these were not sent; pages and history have them
 * @property {{epoch: string}} reset  the room's log is another one: what was delivered before is void
 * @property {{code: string, message: string, message_zh: string, temporary: boolean}} problem
 */
/**
 * @typedef {object} Options
 * @property {string} [url]  origin of the server; default: that of the page
 * @property {string} room
 * @property {string} [token]  without one: reading only
 * @property {Since | null} [since]  what the caller has already, for example from a server-rendered page
 * @property {number} [fillMax]  longest hole that is filled, in events
 * @property {boolean} [complete]  read from the history what live messages leave out
 * @property {number} [pendingMax]  most comments that wait for an answer
 * @property {Partial<Surroundings>} [surroundings]  for tests
 */
/**
 * @typedef {object} Surroundings
 * @property {new (url: string) => WebSocket} WebSocket
 * @property {(new (url: string) => EventSource) | undefined} EventSource
 * @property {(url: string) => Promise<Response>} fetch
 * @property {(action: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now @property {() => number} random
 */
/** @typedef {{epoch: string, head: number, state: Record<string, unknown>, page: string, events: RoomEvent[]}} Joined */
/** Events that stand for the numbers `first` to `last`, all of them but for those that the server left out. @typedef {{first: number, last: number, events: RoomEvent[]}} Run */
/** @typedef {{key: string, message: object, resolve: (outcome: Outcome) => void, tries: number, sent: boolean, timers: Set<unknown>}} Pending */

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 30_000;
const RESTART_SPREAD_MS = 3_000;
const STABLE_MS = 5_000;
const FAILURES_UNTIL_FALLBACK = 2; // where no WebSocket has opened yet: something on the way may forbid them
const FAILURES_UNTIL_FALLBACK_LATER = 6; // where one has: the server is more likely just away
const FALLBACK_RETRY_FIRST_MS = 5_000;
const FALLBACK_RETRY_MOST_MS = 60_000;
const QUIET_UNTIL_PING_MS = 25_000;
const QUIET_UNTIL_DEAD_MS = 40_000;
const WATCH_MS = 5_000;
const ANSWER_MS = 8_000;
const SETTLE_MS = 60_000;
const TRIES_MOST = 6;
const HISTORY_PAGE = 500;
const HTTP_BAD_REQUEST = 400;
const HISTORY_TRIES = 3;
const PAGE_ROWS = 256; // of a static page; never changes
const STREAM_CLOSED = 2; // EventSource.CLOSED

/** Closes after which the same client would only fail again; see the table of close codes in the protocol's documentation. */
const FINAL_CLOSES = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4002, 4003]);
const CLOSE_RESTARTING = 1012;

/** Temporary refusals that concern the server's moment and not the author: these are sent again without asking. */
const RETRIED = new Set(["overloaded", "storage_unavailable", "outcome_unknown", "shutting_down", "internal_error"]);

/** Refusals of a token; the connection reads on without one. */
const TOKEN_PROBLEMS = new Set(["bad_token", "token_expired", "too_many_connections"]);

/** @returns {Surroundings} */
function browser() {
  return {
    WebSocket: globalThis.WebSocket,
    EventSource: globalThis.EventSource,
    fetch: (url) => globalThis.fetch(url),
    setTimeout: (action, ms) => globalThis.setTimeout(action, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
  };
}

/**
 * The time, then 80 random bits: keys in order of time are cheaper for the server's index. `crypto.randomUUID` is missing on
 * plain-http pages. @param {number} now  Unix time in milliseconds
 */
function newKey(now) {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0"));
  return now.toString(16).padStart(12, "0") + random.join("");
}

export class Barrage extends EventTarget {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {EventSource | null} */ #stream = null;
  #opened = false;
  #joined = false;
  #closed = true;
  #attempt = 0;
  #everOpened = false;
  #openFailures = 0;
  #joinedAt = 0;
  #heardAt = 0;
  /** @type {unknown} */ #retryTimer = null;
  /** @type {unknown} */ #watchTimer = null;

  /** @type {string} */ #epoch = "";
  #last = -1; // the last number delivered; -1: nothing is known yet
  #seen = 0; // the highest number heard of; parked events may have been dropped below it
  /** @type {Run[]} */ #parked = [];
  #parkedEvents = 0;
  /** @type {RoomEvent[]} */ #echoes = []; // of what the next message leaves out
  #filling = false;
  #limit = `&limit=${HISTORY_PAGE}`;
  #generation = 0; // rises when a running fill has become void

  /** @type {Map<string, Pending>} */ #pending = new Map();

  /** @param {Options} options */
  constructor({ url, room, token = "", since = null, fillMax = 5_000, complete = false, pendingMax = 32, surroundings = {} }) {
    super();
    this.url = new URL(url ?? globalThis.location.origin).origin;
    this.room = room;
    this.token = token;
    this.fillMax = fillMax;
    this.complete = complete;
    this.pendingMax = pendingMax;
    /** @type {Surroundings} */
    this.around = { ...browser(), ...surroundings };
    if (since !== null) {
      this.#epoch = since.epoch;
      this.#last = since.seq;
      this.#seen = since.seq;
    }
    this.retryNow = () => this.#retryNow();
  }

  /** What a later client would resume from. @returns {Since | null} */
  get since() {
    return this.#last < 0 ? null : { epoch: this.#epoch, seq: this.#last };
  }

  /** Number of comments that wait for their outcome. */
  get pending() {
    return this.#pending.size;
  }

  /** Begin receiving. Nothing happens when the client is connected or connecting already. */
  connect() {
    if (this.#closed) {
      this.#closed = false;
      globalThis.addEventListener?.("online", this.retryNow);
      this.#open();
    }
  }

  /** Stop for good; pending comments are settled as `unknown` or `failed`. `connect` begins anew. */
  close() {
    this.#finish(1000);
  }

  /** Present another token, or none; takes effect at once. @param {string} token */
  setToken(token) {
    this.token = token;
    if (this.#joined && token) {
      this.#transmit({ op: "auth", token });
    } else if (this.#socket !== null) {
      this.#lost(this.#socket, 1001); // there is no message for signing out: connect again as a reader
    }
  }

  /**
   * Post a comment. The promise never rejects.
   * @param {Draft} draft
   * @returns {Promise<Outcome>}
   */
  say({ text, mode = "scroll", color = "#ffffff", size = 25, pos_ms }) {
    const key = newKey(this.around.now());
    const position = pos_ms === undefined ? {} : { pos_ms: Math.max(0, Math.round(pos_ms)) };
    return this.#post({ op: "say", room: this.room, key, text, mode, color, size, ...position }, key);
  }

  /** Take back one's own comment. @param {number} seq @returns {Promise<Outcome>} */
  recall(seq) {
    const key = newKey(this.around.now());
    return this.#post({ op: "recall", room: this.room, key, seq }, key);
  }

  // -- connection ------------------------------------------------------------------------------------------------------

  #open() {
    this.#retryTimer = null;
    if (this.#stream === null) {
      this.#status({ state: "connecting" });
    }
    const socket = new this.around.WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
    this.#socket = socket;
    this.#opened = false;
    this.#heardAt = this.around.now();
    socket.onopen = () => {
      this.#opened = this.#everOpened = true;
      this.#openFailures = 0;
      if (this.token) {
        this.#transmit({ op: "auth", token: this.token });
      }
      const since = this.since;
      this.#transmit({ op: "join", room: this.room, ...(since && { since }) });
    };
    socket.onmessage = ({ data }) => {
      this.#heardAt = this.around.now();
      this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => this.#lost(socket, code);
    socket.onerror = () => undefined; // a close always follows; outside of browsers, an error that nobody hears ends the process
    this.#watchTimer = this.around.setTimeout(() => this.#watch(socket), WATCH_MS);
  }

  /** The browser hides pings from us: ask for a sign of life, and give a silent connection up. @param {WebSocket} socket */
  #watch(socket) {
    const quiet = this.around.now() - this.#heardAt;
    if (quiet >= QUIET_UNTIL_DEAD_MS) {
      this.#lost(socket, 1006);
      return;
    }
    if (quiet >= QUIET_UNTIL_PING_MS && this.#joined) {
      this.#transmit({ op: "ping" });
    }
    this.#watchTimer = this.around.setTimeout(() => this.#watch(socket), WATCH_MS);
  }

  /** @param {WebSocket} socket @param {number} code */
  #lost(socket, code) {
    if (socket !== this.#socket) {
      return;
    }
    this.#openFailures += this.#opened ? 0 : 1;
    this.#drop();
    if (FINAL_CLOSES.has(code)) {
      this.#finish(code);
      return;
    }
    if (this.#joinedAt > 0 && this.around.now() - this.#joinedAt >= STABLE_MS) {
      this.#attempt = 0;
    }
    this.#joinedAt = 0;
    const failures = this.#openFailures - (this.#everOpened ? FAILURES_UNTIL_FALLBACK_LATER : FAILURES_UNTIL_FALLBACK);
    if (failures >= 0 && this.around.EventSource !== undefined) {
      this.#follow();
      const retry_ms = Math.min(FALLBACK_RETRY_MOST_MS, FALLBACK_RETRY_FIRST_MS * 2 ** failures);
      this.#retryTimer = this.around.setTimeout(() => this.#open(), retry_ms);
      return;
    }
    const retry_ms = this.#backoff(code);
    this.#attempt += 1;
    this.#status({ state: "waiting", retry_ms, code });
    this.#retryTimer = this.around.setTimeout(() => this.#open(), retry_ms);
  }

  /** A random wait below a bound that doubles, so that the viewers of a room do not come back all at once. @param {number} code */
  #backoff(code) {
    const bound = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt);
    const spread = code === CLOSE_RESTARTING ? Math.max(bound, RESTART_SPREAD_MS) : bound;
    return Math.round(100 + this.around.random() * spread);
  }

  #retryNow() {
    if (this.#retryTimer !== null && this.#stream === null) {
      this.around.clearTimeout(this.#retryTimer);
      this.#open();
    }
  }

  /** Let the socket go without waiting for its closing handshake. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    this.around.clearTimeout(this.#watchTimer);
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null; // onerror stays: closing what is not open yet is an error
      socket.close();
    }
  }

  /** @param {number} code */
  #finish(code) {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#generation += 1;
    this.#filling = false;
    this.#unpark();
    this.around.clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    globalThis.removeEventListener?.("online", this.retryNow);
    this.#drop();
    this.#unfollow();
    for (const pending of [...this.#pending.values()]) {
      this.#giveUp(pending);
    }
    this.#status({ state: "closed", code });
  }

  /** @param {object} message */
  #transmit(message) {
    this.#socket?.send(JSON.stringify(message));
  }

  // -- read-only fallback ----------------------------------------------------------------------------------------------

  /** Receive by server-sent events while no WebSocket can be opened. The browser reconnects by itself, with the last id. */
  #follow() {
    if (this.#stream !== null || this.around.EventSource === undefined) {
      return;
    }
    const after = this.#last < 0 ? "" : `?after=${this.#last}`;
    const stream = new this.around.EventSource(`${this.#api()}/stream${after}`);
    this.#stream = stream;
    const on = (/** @type {string} */ type, /** @type {(message: any) => void} */ action) => {
      stream.addEventListener(type, (event) => action(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    };
    on("joined", (message) => {
      this.#attempt = 0;
      this.#adopt(message, "reading");
      this.#need(message.head);
    });
    on("events", ({ events }) => this.#take(events, true));
    on("gap", ({ to }) => this.#need(to));
    stream.addEventListener("error", () => this.#onStreamError(stream));
  }

  /**
   * A browser resumes a stream that broke off, but gives one up whose answer is no stream: a proxy says that the server is away, or
   * the server that there is no place. Then all begins again, after a wait. @param {EventSource} stream
   */
  #onStreamError(stream) {
    if (stream !== this.#stream) {
      return;
    }
    const givenUp = stream.readyState === STREAM_CLOSED;
    if (givenUp) {
      this.#unfollow();
    }
    if (!givenUp || this.#socket !== null) {
      this.#status({ state: "connecting" });
      return;
    }
    const retry_ms = this.#backoff(0);
    this.#attempt += 1;
    this.around.clearTimeout(this.#retryTimer);
    this.#retryTimer = this.around.setTimeout(() => this.#open(), retry_ms);
    this.#status({ state: "waiting", retry_ms, code: 1006 });
  }

  #unfollow() {
    this.#stream?.close();
    this.#stream = null;
  }

  // -- messages --------------------------------------------------------------------------------------------------------

  /** @param {any} message */
  #receive(message) {
    switch (message.op) {
      case "hello":
        this.#tell("hello", { identity: message.identity, limits: message.limits });
        break;
      case "joined":
        this.#onJoined(message);
        break;
      case "echo":
        this.#echoes = message.events;
        break;
      case "events":
        this.#onEvents(message);
        break;
      case "gap":
        this.#need(message.to);
        break;
      case "ack":
        this.#settle(message.key, { outcome: "acked", key: message.key, seq: message.seq });
        break;
      case "held":
        this.#settle(message.key, { ...message, outcome: "held" });
        break;
      case "refused":
        this.#onRefused(message);
        break;
      case "state":
        this.#tell("state", { state: message.state });
        break;
      case "letter":
        this.#tell("letter", { kind: message.kind, at_ms: message.at_ms, data: message.data });
        break;
      case "error":
        this.#onError(message);
        break;
      default: // a later version of the protocol may have more; pong and left ask for nothing
        break;
    }
  }

  /** @param {Joined} message */
  #onJoined(message) {
    this.#joined = true;
    this.#joinedAt = this.around.now();
    this.#unfollow();
    this.#echoes = [];
    this.#adopt(message, "live");
    this.#take(message.events, false);
    this.#need(message.head);
    for (const pending of this.#pending.values()) {
      this.#send(pending);
    }
  }

  /**
   * Take over where the room's log stands. A log that ends before what was heard of it was restored from a backup: its numbers are
   * given anew, so it is another log, whatever its epoch says.
   * @param {Joined} message @param {"live" | "reading"} status
   */
  #adopt({ epoch, head, state, page, events }, status) {
    const other = this.#last >= 0 && (epoch !== this.#epoch || head < this.#seen);
    if (other || this.#last < 0) {
      this.#generation += 1;
      this.#filling = false;
      this.#unpark();
      this.#last = events.length > 0 ? events[0].seq - 1 : head;
      this.#seen = this.#last;
    }
    this.#epoch = epoch;
    if (other) {
      this.#tell("reset", { epoch });
    }
    this.#status({ state: status });
    this.#tell("joined", { epoch, head, state, page });
  }

  /** A message other than `say` and `recall` was refused: before `joined`, that is the joining unless it is the token. @param {any} message */
  #onError(message) {
    this.#tell("problem", message);
    if (this.#joined || TOKEN_PROBLEMS.has(message.code) || this.#socket === null) {
      return;
    }
    if (message.temporary) {
      this.#lost(this.#socket, 1013);
    } else {
      this.#finish(1000); // there is no such room: joining again would not help
    }
  }

  // -- events, in order, exactly once ----------------------------------------------------------------------------------

  /**
   * A live message; where the server left something out it says so.
   * @param {{events: RoomEvent[], first?: number, last?: number, left_out?: number}} message
   */
  #onEvents({ events, first, last, left_out }) {
    const echoes = this.#echoes;
    this.#echoes = [];
    if (left_out === undefined || first === undefined || last === undefined) {
      this.#take(events, true);
      return;
    }
    const known = [...events, ...echoes].sort((one, other) => one.seq - other.seq);
    if (this.complete) {
      this.#take(known, true);
      this.#need(last);
    } else {
      this.#takeRun({ first, last, events: known }, true);
    }
  }

  /** @param {RoomEvent[]} events  ascending @param {boolean} live */
  #take(events, live) {
    let start = 0;
    for (let end = 1; end <= events.length; end += 1) {
      if (end === events.length || events[end].seq !== events[end - 1].seq + 1) {
        this.#takeRun({ first: events[start].seq, last: events[end - 1].seq, events: events.slice(start, end) }, live);
        start = end;
      }
    }
  }

  /** @param {Run} run @param {boolean} live */
  #takeRun(run, live) {
    this.#seen = Math.max(this.#seen, run.last);
    if (this.#filling) {
      this.#park(run);
    } else if (run.first > this.#last + 1) {
      this.#park(run);
      this.#fill(run.first - 1);
    } else if (run.last > this.#last) {
      const from = this.#last + 1;
      const events = run.events.filter(({ seq }) => seq >= from);
      this.#last = run.last;
      if (events.length > 0) {
        this.#tell("events", { events, live });
      }
      if (events.length < run.last - from + 1) {
        this.#tell("sampled", { from, to: run.last, left_out: run.last - from + 1 - events.length });
      }
    }
  }

  /** Keep a run until the hole before it is filled. Overflow action: it becomes part of a hole itself. @param {Run} run */
  #park(run) {
    if (this.#parkedEvents + run.events.length <= this.fillMax) {
      this.#parked.push(run);
      this.#parkedEvents += run.events.length;
    }
  }

  #unpark() {
    const parked = this.#parked;
    this.#parked = [];
    this.#parkedEvents = 0;
    return parked;
  }

  /** @param {RoomEvent[]} events  contiguous, from the next one on @param {boolean} live */
  #deliver(events, live) {
    if (events.length > 0) {
      this.#last += events.length;
      this.#tell("events", { events, live });
    }
  }

  /** Everything up to `to` exists; get it, unless we have it. @param {number} to */
  #need(to) {
    this.#seen = Math.max(this.#seen, to);
    if (!this.#filling && this.#last >= 0 && this.#seen > this.#last) {
      this.#fill(this.#seen);
    }
  }

  /** Read events up to `to` from the history, then go on with what was parked meanwhile. @param {number} to */
  async #fill(to) {
    this.#filling = true;
    const generation = this.#generation;
    this.#tell("gap", { from: this.#last + 1, to });
    if (to - this.#last > this.fillMax) {
      this.#skip(to - this.fillMax);
    }
    let failures = 0;
    while (this.#last < to && failures < HISTORY_TRIES) {
      const events = await this.#history(this.#last);
      if (generation !== this.#generation) {
        return;
      }
      if (events.length > 0) {
        failures = 0;
        this.#deliver(events, false);
      } else {
        failures += 1;
        await new Promise((resolve) => {
          this.around.setTimeout(() => resolve(undefined), BACKOFF_FIRST_MS * failures);
        });
        if (generation !== this.#generation) {
          return;
        }
      }
    }
    if (this.#last < to) {
      this.#skip(to);
    }
    this.#filling = false;
    this.#unpark().forEach((run) => this.#takeRun(run, true));
    this.#need(this.#seen); // parked events beyond the bound were dropped: what is missing now is a hole of its own
  }

  /** Give the events up to `to` up. @param {number} to */
  #skip(to) {
    const from = this.#last + 1;
    this.#last = to;
    const page = Math.floor((from - 1) / PAGE_ROWS);
    this.#tell("skipped", { from, to, page: `${this.url}/rooms/${this.room}/comments/${page}.html#c${from}` });
  }

  /**
   * One page of the history after `after`, as far as it is contiguous; empty when it cannot be had.
   * @param {number} after @returns {Promise<RoomEvent[]>}
   */
  async #history(after) {
    try {
      const response = await this.around.fetch(`${this.#api()}/events?after=${after}${this.#limit}`);
      if (response.status === HTTP_BAD_REQUEST) {
        this.#limit = ""; // this server's pages are shorter than we asked for: take its own measure from now on
        return [];
      }
      const { epoch, events } = await response.json();
      return epoch === this.#epoch
        ? events.filter((/** @type {RoomEvent} */ event, /** @type {number} */ index) => event.seq === after + index + 1)
        : [];
    } catch {
      return [];
    }
  }

  #api() {
    return `${this.url}/api/rooms/${encodeURIComponent(this.room)}`;
  }

  // -- posting ---------------------------------------------------------------------------------------------------------

  /** @param {object} message @param {string} key @returns {Promise<Outcome>} */
  #post(message, key) {
    if (this.#closed || this.#pending.size >= this.pendingMax) {
      return Promise.resolve({ outcome: "failed", key, code: this.#closed ? "not_connected" : "too_many_pending" });
    }
    return new Promise((resolve) => {
      /** @type {Pending} */
      const pending = { key, message, resolve, tries: 0, sent: false, timers: new Set() };
      this.#pending.set(key, pending);
      this.#later(pending, SETTLE_MS, () => this.#giveUp(pending));
      this.#send(pending);
    });
  }

  /** Send, or send again, when connected; else the next `joined` does it. @param {Pending} pending */
  #send(pending) {
    if (!this.#joined || !this.#pending.has(pending.key)) {
      return;
    }
    if (pending.tries >= TRIES_MOST) {
      this.#giveUp(pending);
      return;
    }
    const socket = this.#socket;
    pending.tries += 1;
    pending.sent = true;
    this.#transmit(pending.message);
    const tries = pending.tries;
    this.#later(pending, ANSWER_MS, () => {
      if (socket === this.#socket && tries === pending.tries) {
        this.#send(pending);
      }
    });
  }

  /** @param {Pending} pending @param {number} ms @param {() => void} action */
  #later(pending, ms, action) {
    const timer = this.around.setTimeout(() => {
      pending.timers.delete(timer);
      action();
    }, ms);
    pending.timers.add(timer);
  }

  /** @param {any} message */
  #onRefused(message) {
    const pending = this.#pending.get(message.key);
    if (pending !== undefined && RETRIED.has(message.code) && pending.tries < TRIES_MOST) {
      const wait = Math.max(message.retry_after_ms ?? 0, BACKOFF_FIRST_MS * 2 ** (pending.tries - 1));
      this.#later(pending, Math.min(wait, BACKOFF_MOST_MS), () => this.#send(pending));
      return;
    }
    this.#settle(message.key, { ...message, outcome: message.code === "outcome_unknown" ? "unknown" : "refused" });
  }

  /** @param {Pending} pending */
  #giveUp(pending) {
    const outcome = pending.sent ? "unknown" : "failed";
    this.#settle(pending.key, { outcome, key: pending.key, code: pending.sent ? "outcome_unknown" : "not_connected" });
  }

  /** @param {string} key @param {Outcome} outcome */
  #settle(key, outcome) {
    const pending = this.#pending.get(key);
    if (pending !== undefined) {
      this.#pending.delete(key);
      pending.timers.forEach((timer) => this.around.clearTimeout(timer));
      pending.resolve(outcome);
    }
  }

  // -- to the caller ---------------------------------------------------------------------------------------------------

  /** @param {Status} status */
  #status(status) {
    this.#tell("status", status);
  }

  /** @template {keyof BarrageEvents} T @param {T} type @param {BarrageEvents[T]} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
