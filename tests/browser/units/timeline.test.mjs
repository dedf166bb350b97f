/** server/web/static/timeline.js */

import assert from "node:assert/strict";
import test from "node:test";

import { Follower, Timeline } from "../../../server/web/static/timeline.js";
import { comment, randomFrom } from "./world.mjs";

const at = (seq, pos_ms) => ({ ...comment(seq), pos_ms });
const seqs = (comments) => comments.map(({ seq }) => seq);

function timeline(...comments) {
  const made = new Timeline(1000);
  comments.forEach((one) => made.add(one));
  return made;
}

test("comments are found by position, in order, across buckets", () => {
  const made = timeline(at(1, 25_000), at(2, 9_999), at(3, 10_000), at(4, 9_999), at(5, 20_000));
  assert.deepEqual(seqs(made.between(0, 30_000)), [2, 4, 3, 5, 1]);
  assert.deepEqual(seqs(made.between(9_999, 20_000)), [3, 5], "the start is left out, the end is not");
});

test("any split of the time gives each comment once", () => {
  const random = randomFrom(7);
  const made = timeline(...Array.from({ length: 500 }, (_, n) => at(n + 1, Math.floor(random() * 60_000))));
  const found = [];
  for (let from = -1; from < 60_000; ) {
    const to = Math.min(60_000, from + 1 + Math.floor(random() * 3000));
    found.push(...seqs(made.between(from, to)));
    from = to;
  }
  assert.equal(found.length, 500);
  assert.equal(new Set(found).size, 500);
});

test("a removed comment is gone and may come back", () => {
  const made = timeline(at(1, 100), at(2, 200));
  made.remove(1);
  made.remove(99);
  assert.deepEqual(seqs(made.between(0, 1000)), [2]);
  made.add(at(1, 100));
  assert.deepEqual(seqs(made.between(0, 1000)), [1, 2]);
});

test("a comment is taken once; beyond the bound the oldest is forgotten", () => {
  const made = new Timeline(2);
  [at(1, 1), at(1, 1), at(2, 2), at(3, 3)].forEach((one) => made.add(one));
  assert.equal(made.size, 2);
  assert.deepEqual(seqs(made.between(0, 10)), [2, 3]);
});

test("while the video plays, each comment is due once", () => {
  const follower = new Follower(timeline(at(1, 0), at(2, 90), at(3, 150)));
  assert.deepEqual(seqs(follower.step(0).due), [1]);
  assert.deepEqual(seqs(follower.step(100).due), [2]);
  assert.deepEqual(seqs(follower.step(100).due), []);
  assert.deepEqual(seqs(follower.step(200).due), [3]);
});

test("after a jump the screen is emptied and shows what began just before", () => {
  const follower = new Follower(timeline(at(1, 500), at(2, 58_000), at(3, 59_000), at(4, 61_000)));
  assert.equal(follower.step(0).jumped, false);
  const forward = follower.step(60_000);
  assert.equal(forward.jumped, true);
  assert.deepEqual(seqs(forward.due), [3]);
  const back = follower.step(1000);
  assert.equal(back.jumped, true);
  assert.deepEqual(seqs(back.due), [1]);
});

test("a comment that arrives is shown at once when its moment has just passed, else when the video gets there", () => {
  const follower = new Follower(timeline());
  assert.equal(follower.arrived(at(1, 0)), false, "the video has not begun");
  follower.step(10_000);
  assert.equal(follower.arrived(at(1, 9_000)), true);
  assert.equal(follower.arrived(at(1, 10_500)), false);
  assert.equal(follower.arrived(at(1, 3_000)), false);
});
