/** Fakes around the client: a clock that moves by hand, sockets and streams that are played by the test, a history. */

import { Barrage } from "../../../server/web/static/barrage.js";

/** Numbers from a seed, the same in each run. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function comment(seq, text = `text ${seq}`) {
  return { seq, kind: "comment", at_ms: seq, pos_ms: 0, text, mode: "scroll", color: "#ffffff", size: 25, author: { id: "a", name: "n" } };
}

class FakeSocket {
  constructor(world, url) {
    this.world = world;
    this.url = url;
    this.sent = [];
    this.closed = false;
    world.sockets.push(this);
  }

  send(text) {
    const message = JSON.parse(text);
    this.sent.push(message);
    this.world.onSent?.(this, message);
  }

  close() {
    this.closed = true;
  }

  open() {
    this.onopen?.();
  }

  receive(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  cut(code = 1006) {
    this.onclose?.({ code });
  }
}

class FakeStream extends EventTarget {
  constructor(world, url) {
    super();
    this.url = url;
    this.closed = false;
    this.readyState = 1;
    world.streams.push(this);
  }

  /** The connection broke off and the browser resumes it, or (`givenUp`) never will. */
  fail({ givenUp }) {
    this.readyState = givenUp ? 2 : 0;
    this.dispatchEvent(new Event("error"));
  }

  receive(type, message) {
    const event = new Event(type);
    event.data = JSON.stringify(message);
    this.dispatchEvent(event);
  }

  close() {
    this.closed = true;
  }
}

export class World {
  constructor({ random = () => 0.5, eventSource = true } = {}) {
    this.time = 1_000_000;
    this.timers = [];
    this.sockets = [];
    this.streams = [];
    this.fetched = [];
    this.onSent = null;
    /** What the history answers: (url) -> {status, body} or a thrown error. */
    this.history = () => ({ status: 500, body: {} });
    /** A promise that holds answers of the history back. */
    this.gate = null;
    const world = this;
    this.surroundings = {
      WebSocket: class {
        constructor(url) {
          return new FakeSocket(world, url);
        }
      },
      EventSource: eventSource
        ? class {
            constructor(url) {
              return new FakeStream(world, url);
            }
          }
        : undefined,
      fetch: async (url) => {
        world.fetched.push(url);
        await world.gate;
        const { status, body } = world.history(url);
        return { status, ok: status < 400, json: async () => body };
      },
      setTimeout: (action, ms) => {
        const timer = { at: world.time + ms, action };
        world.timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        world.timers = world.timers.filter((other) => other !== timer);
      },
      now: () => world.time,
      random,
    };
  }

  get socket() {
    return this.sockets[this.sockets.length - 1];
  }

  get stream() {
    return this.streams[this.streams.length - 1];
  }

  /** Let promises go on; nothing here waits for real time. */
  async settle() {
    for (let turn = 0; turn < 20; turn += 1) {
      await Promise.resolve();
    }
  }

  /** Move the clock, running timers in order. */
  async advance(ms) {
    const end = this.time + ms;
    for (;;) {
      await this.settle();
      const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) {
        break;
      }
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.action();
    }
    this.time = end;
    await this.settle();
  }
}

/** A client in a world; `heard` keeps what it told, by type. */
export function clientIn(world, options = {}) {
  const client = new Barrage({ url: "http://here", room: "demo", surroundings: world.surroundings, ...options });
  const heard = { events: [], status: [], gap: [], skipped: [], sampled: [], reset: [], joined: [], hello: [], problem: [], state: [], letter: [] };
  for (const type of Object.keys(heard)) {
    client.addEventListener(type, ({ detail }) => heard[type].push(detail));
  }
  heard.seqs = () => heard.events.flatMap(({ events }) => events.map(({ seq }) => seq));
  return { client, heard };
}

/** The last socket is open and has joined: `head` is the newest number after `events`. */
export function join(world, { epoch = "e1", events = [], head = events.at(-1)?.seq ?? 0 } = {}) {
  world.socket.open();
  world.socket.receive({ op: "hello", version: 1, identity: null, limits: {} });
  world.socket.receive({ op: "joined", room: "demo", epoch, head, state: { mode: "open", viewers: 1 }, page: "/p", events });
}

/** A history over a log: an array of events from number 1 on. */
export function historyOf(log, { epoch = "e1", most = 1000 } = {}) {
  return (url) => {
    const query = new URL(url).searchParams;
    const after = Number(query.get("after"));
    const limit = Math.min(most, Number(query.get("limit") ?? 100));
    return { status: 200, body: { room: "demo", epoch, head: log.length, events: log.slice(after, after + limit) } };
  };
}
