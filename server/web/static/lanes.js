/**
 * Lane allocation: which comment goes where, so that no two of one plane ever overlap. Arithmetic only: no DOM, no clock.
 *
 * A plane is a stack of lanes of equal height; an item takes `span` neighbouring lanes. There are two planes: one for comments that
 * move (scroll and reverse), one for those that stand (top and bottom). Standing comments are drawn above moving ones, on a plate
 * of their own; within a plane nothing overlaps.
 *
 * Times are milliseconds of the caller's clock (which stands still while the overlay is paused), lengths are CSS pixels.
 */

/**
 * An item that moves through the stage at constant speed: it enters at `start` with its leading edge at the edge of the stage and has
 * left entirely at `start + duration`.
 * @typedef {object} Mover
 * @property {number} start
 * @property {number} duration
 * @property {number} width
 * @property {1 | -1} direction  1: right to left (scroll), -1: left to right (reverse)
 */

/**
 * How far an item's leading edge has come into a stage of width `stage` at `now`.
 * @param {Mover} item @param {number} stage @param {number} now
 * @returns {number}
 */
export function progress(item, stage, now) {
  return ((stage + item.width) * (now - item.start)) / item.duration;
}

/**
 * Whether `next`, which starts not before `previous`, can share a lane with it: at least `gap` pixels lie between them until one has left.
 *
 * Both are straight lines over time, so the distance between them is least at one of two moments: when `next` enters, or when
 * `previous` leaves (a faster, longer `next` catches up until then).
 * @param {Mover} previous @param {Mover} next @param {number} stage @param {number} gap
 * @returns {boolean}
 */
export function fits(previous, next, stage, gap) {
  const left = previous.start + previous.duration;
  if (left <= next.start) {
    return true;
  }
  if (previous.direction !== next.direction) {
    return false;
  }
  return (
    progress(previous, stage, next.start) - previous.width >= gap && progress(next, stage, left) <= stage - gap
  );
}

/** The plane of moving comments. */
export class MovingPlane {
  /** @param {number} lanes  how many lanes there are @param {number} stage  width @param {number} gap  least distance of two items */
  constructor(lanes, stage, gap) {
    this.stage = stage;
    this.gap = gap;
    /** @type {(Mover | null)[]} the newest item of each lane: an older one has always left before it could be met */
    this.last = new Array(Math.max(1, lanes)).fill(null);
  }

  /**
   * Take the topmost lanes that are free for the item.
   * @param {Mover} item @param {number} span
   * @returns {number} the first lane, or -1 when no place is free now
   */
  place(item, span) {
    const wanted = Math.min(span, this.last.length);
    let free = 0;
    for (let lane = 0; lane < this.last.length; lane += 1) {
      const previous = this.last[lane];
      free = previous === null || fits(previous, item, this.stage, this.gap) ? free + 1 : 0;
      if (free === wanted) {
        const first = lane - wanted + 1;
        this.last.fill(item, first, lane + 1);
        return first;
      }
    }
    return -1;
  }
}

/** The plane of standing comments: `top` fills downwards from the first lane, `bottom` upwards from the last. */
export class StandingPlane {
  /** @param {number} lanes */
  constructor(lanes) {
    /** @type {number[]} when each lane is free again */
    this.until = new Array(Math.max(1, lanes)).fill(-Infinity);
  }

  /**
   * @param {"top" | "bottom"} edge @param {number} now @param {number} duration @param {number} span
   * @returns {number} the first (uppermost) lane, or -1 when no place is free now
   */
  place(edge, now, duration, span) {
    const count = this.until.length;
    const wanted = Math.min(span, count);
    let free = 0;
    for (let step = 0; step < count; step += 1) {
      const lane = edge === "top" ? step : count - 1 - step;
      free = this.until[lane] <= now ? free + 1 : 0;
      if (free === wanted) {
        const first = edge === "top" ? lane - wanted + 1 : lane;
        this.until.fill(now + duration, first, first + wanted);
        return first;
      }
    }
    return -1;
  }
}
