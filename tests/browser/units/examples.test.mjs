/** The program in docs/front-end.md that gives players their shapes runs as it stands there. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { comment } from "./world.mjs";

const text = readFileSync(new URL("../../../docs/front-end.md", import.meta.url), "utf8");
const code = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]).find((each) => each.includes("export const shapes"));
const { shapes } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const hostile = { ...comment(7, `<img src=x onerror="a('b')">&`), pos_ms: 1500, color: "#ff8800" };

test("DPlayer, which takes texts for HTML, gets them escaped; nobody else does", () => {
  const shape = shapes.dplayer(hostile);
  assert.equal(shape.text, "&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;");
  assert.deepEqual([shape.time, shape.color, shape.type, shape.author, shape.seq], [1.5, 0xff8800, 0, "n", 7]);
  assert.equal(shapes.artplayer(hostile).text, hostile.text);
  assert.equal(shapes.danmu(hostile).txt, hostile.text);
  assert.equal(shapes.nplayer(hostile).text, hostile.text);
});

test("each player gets modes and moments in its own words", () => {
  const modes = ["scroll", "top", "bottom", "reverse"].map((mode) => ({ ...hostile, mode }));
  assert.deepEqual(modes.map((c) => shapes.dplayer(c).type), [0, 1, 2, 0]);
  assert.deepEqual(modes.map((c) => shapes.artplayer(c).mode), [0, 1, 2, 0]);
  assert.deepEqual(modes.map((c) => shapes.danmaku(c, () => null).mode), ["rtl", "top", "bottom", "ltr"]);
  assert.deepEqual(modes.map((c) => shapes.danmu(c).mode), ["scroll", "top", "bottom", "scroll"]);
  assert.deepEqual(modes.map((c) => shapes.nplayer(c).type), ["scroll", "top", "bottom", "scroll"]);
  assert.deepEqual([shapes.artplayer(hostile).id, shapes.artplayer(hostile).time], ["7", 1.5]);
  assert.deepEqual([shapes.danmu(hostile).id, shapes.danmu(hostile).start], ["7", 1500]);
  assert.equal(shapes.danmaku(hostile, () => null).time, 1.5);
});
