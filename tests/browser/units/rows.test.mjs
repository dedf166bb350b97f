/** The parts of server/web/static/rows.js and words.js that need no document. */

import assert from "node:assert/strict";
import test from "node:test";

import { clock, timeFormat } from "../../../server/web/static/rows.js";
import { t, useWords } from "../../../server/web/static/words.js";

test("positions are written as on the static pages", () => {
  assert.deepEqual([clock(-5), clock(0), clock(59_999), clock(245_000), clock(3_723_000)], ["0:00", "0:00", "0:59", "4:05", "1:02:03"]);
});

test("moments are written in the site's time zone, with their offset", () => {
  const moment = Date.UTC(2026, 0, 31, 16, 5, 9, 7);
  assert.deepEqual(timeFormat("Asia/Shanghai")(moment), { text: "2026-02-01 00:05:09", datetime: "2026-02-01T00:05:09.007+08:00" });
  assert.deepEqual(timeFormat("UTC")(moment), { text: "2026-01-31 16:05:09", datetime: "2026-01-31T16:05:09.007+00:00" });
  assert.deepEqual(timeFormat("America/St_Johns")(moment), { text: "2026-01-31 12:35:09", datetime: "2026-01-31T12:35:09.007-03:30" });
});

test("words are filled in, and a missing one is seen", () => {
  useWords({ waiting: "again in {s} s, {s}!" });
  assert.equal(t("waiting", { s: 3 }), "again in 3 s, 3!");
  assert.equal(t("nope"), "nope");
});
