/** server/web/static/lanes.js */

import assert from "node:assert/strict";
import test from "node:test";

import { MovingPlane, StandingPlane, fits, progress } from "../../../server/web/static/lanes.js";
import { randomFrom } from "./world.mjs";

const GAP = 20;

/** Where an item lies at a time: [left, right], null when it is not on the stage. */
function extent(item, stage, now) {
  if (now < item.start || now > item.start + item.duration) {
    return null;
  }
  const head = progress(item, stage, now);
  return item.direction === 1 ? [stage - head, stage - head + item.width] : [head - item.width, head];
}

function overlap(a, b) {
  return a !== null && b !== null && a[0] < b[1] - 0.01 && b[0] < a[1] - 0.01;
}

test("an item enters at its start and has left after its duration", () => {
  const item = { start: 100, duration: 1000, width: 50, direction: 1 };
  assert.equal(progress(item, 450, 100), 0);
  assert.equal(progress(item, 450, 1100), 500);
});

test("a faster item must not catch up before the slower one has left", () => {
  const slow = { start: 0, duration: 8000, width: 100, direction: 1 };
  const long = { start: 2000, duration: 8000, width: 900, direction: 1 };
  assert.equal(fits(slow, { ...long, width: 100 }, 800, GAP), true);
  assert.equal(fits(slow, long, 800, GAP), false);
});

test("items of opposite directions share a lane only one after the other", () => {
  const first = { start: 0, duration: 8000, width: 100, direction: 1 };
  assert.equal(fits(first, { start: 7999, duration: 8000, width: 10, direction: -1 }, 800, GAP), false);
  assert.equal(fits(first, { start: 8000, duration: 8000, width: 10, direction: -1 }, 800, GAP), true);
});

test("no two moving items ever overlap, whatever their widths, speeds, heights, directions", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomFrom(seed);
    const stage = 200 + Math.floor(random() * 1500);
    const lanes = 1 + Math.floor(random() * 12);
    const plane = new MovingPlane(lanes, stage, GAP);
    const placed = [];
    let now = 0;
    for (let n = 0; n < 120; n += 1) {
      now += random() * 600;
      const item = {
        start: now,
        duration: 3000 + Math.floor(random() * 4) * 2500,
        width: 10 + random() * random() * 2500,
        direction: random() < 0.8 ? 1 : -1,
      };
      const span = 1 + Math.floor(random() * 3);
      const lane = plane.place(item, span);
      if (lane >= 0) {
        placed.push({ ...item, lane, end: lane + Math.min(span, lanes) });
      }
    }
    assert.ok(placed.length > 5, `seed ${seed}`);
    for (let a = 0; a < placed.length; a += 1) {
      assert.ok(placed[a].lane >= 0 && placed[a].end <= lanes);
      for (let b = a + 1; b < placed.length; b += 1) {
        const [one, other] = [placed[a], placed[b]];
        if (one.lane >= other.end || other.lane >= one.end || other.start > one.start + one.duration) {
          continue;
        }
        for (let step = 0; step <= 200; step += 1) {
          const at = other.start + ((one.start + one.duration - other.start) * step) / 200;
          assert.ok(!overlap(extent(one, stage, at), extent(other, stage, at)), `seed ${seed}, items ${a} and ${b} at ${at}`);
        }
      }
    }
  }
});

test("the topmost free lanes are taken, and none when all are in use", () => {
  const plane = new MovingPlane(3, 500, GAP);
  const item = { start: 0, duration: 5000, width: 100, direction: 1 };
  assert.deepEqual([plane.place(item, 1), plane.place(item, 2), plane.place(item, 1)], [0, 1, -1]);
  assert.equal(plane.place({ ...item, start: 2000 }, 3), 0);
});

test("an item higher than the plane takes all of it", () => {
  const plane = new MovingPlane(2, 500, GAP);
  assert.equal(plane.place({ start: 0, duration: 5000, width: 100, direction: 1 }, 9), 0);
  assert.equal(new MovingPlane(0, 500, GAP).place({ start: 0, duration: 5000, width: 1, direction: 1 }, 1), 0);
});

test("standing items fill from their edge and never overlap", () => {
  const plane = new StandingPlane(4);
  assert.equal(plane.place("top", 0, 1000, 1), 0);
  assert.equal(plane.place("top", 0, 1000, 1), 1);
  assert.equal(plane.place("bottom", 0, 1000, 1), 3);
  assert.equal(plane.place("bottom", 0, 1000, 2), -1);
  assert.equal(plane.place("bottom", 0, 1000, 1), 2);
  assert.equal(plane.place("top", 999, 1000, 1), -1);
  assert.equal(plane.place("top", 1000, 1000, 3), 0);
  assert.equal(plane.place("bottom", 1000, 1000, 1), 3);
});
