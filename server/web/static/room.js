/** The room's page: puts client, overlay, player, list and form together. */

import { Barrage } from "./barrage.js";
import { Compose, SessionTokens, takeToken } from "./compose.js";
import { Overlay } from "./overlay.js";
import { Player } from "./player.js";
import { ReportDialog } from "./report.js";
import { Rows, timeFormat } from "./rows.js";
import { connectPopups, connectSettings } from "./settings.js";
import { Follower, Timeline } from "./timeline.js";
import { t, useWords } from "./words.js";

/** @typedef {import("./barrage.js").RoomEvent} RoomEvent */
/** @typedef {import("./barrage.js").Comment} Comment */
/**
 * @typedef {object} Config
 * @property {string} room @property {"live" | "vod"} kind @property {string} epoch @property {number} head @property {string} form_token @property {boolean} missing
 * @property {string} mode @property {string} time_zone @property {number} page_rows @property {number} history_limit
 * @property {import("./rows.js").RowsOptions["labels"]} labels @property {Record<string, string>} regions
 * @property {Record<string, string>} messages @property {Record<string, [string, string]>} ways
 */

const ROWS_MOST = 200;
const TIMELINE_MOST = 20_000;
const FOLLOW_MS = 100;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @type {Config} */
const config = JSON.parse(byId("config").textContent);
useWords(config.messages);

const session = config.form_token ? new SessionTokens(config.form_token, reloadUnlessWriting) : null;
const client = new Barrage({ room: config.room, token: session === null ? takeToken() : "", since: { epoch: config.epoch, seq: config.head } });
const player = new Player(byId("video"));
let leftOut = 0; // comments that were not sent, since more came than go live
const overlay = new Overlay(byId("overlay"), showCounts);
const timeline = new Timeline(TIMELINE_MOST);
const follower = new Follower(timeline);
const vod = config.kind === "vod";
const compose = new Compose(client, {
  mode: config.mode,
  ways: config.ways,
  missing: config.missing,
  session,
  position_ms: () => (vod ? player.position_ms : undefined),
  format: timeFormat(config.time_zone),
});
const rows = new Rows(byId("rows"), byId("row-templates"), {
  timeZone: config.time_zone,
  pageRows: config.page_rows,
  labels: config.labels,
  regions: config.regions,
  most: ROWS_MOST,
  reading,
  onWaiting: showWaiting,
  decorate,
});

/** The page is of a session that has ended. What somebody is writing is not lost to that. */
function reloadUnlessWriting() {
  if (byId("text").value === "") {
    location.reload();
  }
}

// -- events ------------------------------------------------------------------------------------------------------------

client.addEventListener("events", (event) => {
  const { events, live } = /** @type {CustomEvent<{events: RoomEvent[], live: boolean}>} */ (event).detail;
  for (const one of events) {
    if (one.kind === "comment" && !("removed" in one)) {
      onComment(one, live);
    } else if (one.kind === "removal") {
      overlay.remove(one.target);
      timeline.remove(one.target);
    } else if (one.kind === "restoration") {
      timeline.add({ ...one.comment, seq: one.target, kind: "comment", at_ms: one.at_ms });
    }
  }
  rows.add(events);
});

/** @param {Comment} comment @param {boolean} live */
function onComment(comment, live) {
  const own = comment.author.id === compose.id;
  if (vod) {
    timeline.add(comment);
  }
  if (live && (!vod || follower.arrived(comment))) {
    overlay.add(comment, { own });
  }
}

/** What one wrote oneself can be taken back. @param {HTMLElement} article @param {Comment} comment */
function decorate(article, comment) {
  if (comment.author.id !== compose.id) {
    return;
  }
  article.classList.add("own");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "recall";
  button.textContent = t("recall");
  button.addEventListener("click", () => compose.recall(comment.seq));
  article.querySelector("footer")?.append(" ", button);
}

client.addEventListener("reset", () => location.reload()); // another log: nothing on this page is valid

client.addEventListener("sampled", (event) => {
  leftOut += /** @type {CustomEvent<{left_out: number}>} */ (event).detail.left_out;
  showCounts(overlay.counts);
});

client.addEventListener("skipped", (event) => {
  const { from, to } = /** @type {CustomEvent<{from: number, to: number}>} */ (event).detail;
  compose.tell(t("skipped", { from, to }));
});

function tellFailure() {
  compose.tell(t("video_failed"), "bad");
}
player.addEventListener("failed", tellFailure);
if (player.failed) {
  tellFailure();
}

// -- video on demand ---------------------------------------------------------------------------------------------------

/** The room's comments up to now, for the timeline; what comes later arrives as events. */
async function loadHistory() {
  let after = Math.max(0, config.head - TIMELINE_MOST);
  while (after < config.head) {
    const response = await fetch(`/api/rooms/${config.room}/events?after=${after}&limit=${config.history_limit}`);
    const events = /** @type {RoomEvent[]} */ (response.ok ? (await response.json()).events : []);
    if (events.length === 0) {
      return; // the pages have it; flying older comments is not worth pressing a server that is in trouble
    }
    for (const event of events) {
      if (event.kind === "comment" && !("removed" in event)) {
        timeline.add(event);
      }
    }
    after = events[events.length - 1].seq;
  }
}

function follow() {
  const { jumped, due } = follower.step(player.position_ms);
  if (jumped) {
    overlay.clear();
  }
  for (const comment of due) {
    overlay.add(comment, { own: comment.author.id === compose.id });
  }
}

if (vod) {
  const hold = () => overlay.pause("video", !player.playing);
  player.addEventListener("playing", hold);
  player.addEventListener("position", () => !player.playing && follow());
  hold();
  setInterval(() => player.playing && follow(), FOLLOW_MS);
  loadHistory().catch(() => undefined); // no network: events that arrive later still fly
}

// -- connection and room -----------------------------------------------------------------------------------------------

client.addEventListener("status", (event) => {
  const { state, retry_ms = 0 } = /** @type {CustomEvent<import("./barrage.js").Status>} */ (event).detail;
  const label = byId("connection");
  label.dataset.state = state;
  label.textContent = t(state, { s: Math.ceil(retry_ms / 1000) });
});

for (const type of ["joined", "state"]) {
  client.addEventListener(type, (event) => {
    const { state } = /** @type {CustomEvent<{state: {viewers: number} & import("./compose.js").RoomMode}>} */ (event).detail;
    byId("viewers").textContent = t("viewers", { n: state.viewers.toLocaleString(document.documentElement.lang) });
    compose.setMode(state);
  });
}

// -- the list ----------------------------------------------------------------------------------------------------------

/** The reader reads further down, points at the list, or moves through it by keyboard: new rows must not push what is read away. */
function reading() {
  const list = rows.container;
  const scrolls = list.scrollHeight > list.clientHeight + 1 && getComputedStyle(list).overflowY !== "visible";
  const away = scrolls ? list.scrollTop > 8 : list.getBoundingClientRect().top < 0;
  return away || list.matches(":hover") || (list.matches(":focus-within") && document.activeElement !== list);
}

/** @param {number} waiting */
function showWaiting(waiting) {
  const more = byId("more");
  more.hidden = waiting === 0;
  more.textContent = t("list_more", { n: waiting });
  const { oldest } = rows;
  if (oldest > 0) {
    // Older comments stand on the page of the oldest row here.
    const page = Math.floor((oldest - 1) / config.page_rows);
    byId("older").href = `/rooms/${config.room}/comments/${page}.html#c${oldest}`;
  }
}

byId("more").addEventListener("click", () => {
  rows.show();
  rows.container.scrollTop = 0;
  rows.container.focus({ preventScroll: true });
  if (rows.container.getBoundingClientRect().top < 0) {
    rows.container.scrollIntoView({ block: "start" });
  }
});
rows.container.addEventListener("scroll", () => rows.look(), { passive: true });
rows.container.addEventListener("mouseleave", () => rows.look());
rows.container.addEventListener("focusout", () => setTimeout(() => rows.look()));
window.addEventListener("scroll", () => rows.look(), { passive: true });

/** @param {import("./overlay.js").Counts} counts */
function showCounts({ dropped }) {
  const counts = [dropped > 0 && t("dropped", { n: dropped }), leftOut > 0 && t("sampled", { n: leftOut })];
  const label = byId("dropped");
  label.textContent = counts.filter(Boolean).join(" · ");
  label.hidden = label.textContent === "";
}

// -- reporting ---------------------------------------------------------------------------------------------------------

const reports = new ReportDialog(byId("report"));
reports.takeLinks(byId("rows"));
reports.takeClicks(byId("stage"), (x, y) => overlay.at(x, y));

// -- begin -------------------------------------------------------------------------------------------------------------

connectSettings(overlay, { panel: byId("settings"), fly: byId("fly"), hold: byId("hold") });
connectPopups();
byId("bar").hidden = false;
byId("state").hidden = false;
if (session === null) {
  client.connect();
} else {
  session.keep(client).finally(() => client.connect()); // with the token at once: no connection as a reader first
}

/** For scripts of the host page on the same origin, for example to sign in: `barrage.setToken(token)`. */
Object.assign(window, { barrage: client });
