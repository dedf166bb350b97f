/**
 * A video's comments by position: what is due when the video plays or jumps. Bounded; no DOM, no clock.
 *
 * Comments stand in buckets of `BUCKET_MS`, each sorted by position and sequence number when it is first read, so that adding costs
 * the same however many there are.
 */

/** @typedef {import("./barrage.js").Comment} Comment */

const BUCKET_MS = 10_000;

export class Timeline {
  /** @param {number} capacity  most comments held; beyond it, the one that was taken first is forgotten */
  constructor(capacity) {
    this.capacity = capacity;
    /** @type {Map<number, Comment[]>} */
    this.buckets = new Map();
    /** @type {Set<number>} buckets that must be sorted before they are read */
    this.unsorted = new Set();
    /** @type {Map<number, number>} position by sequence number */
    this.positions = new Map();
  }

  get size() {
    return this.positions.size;
  }

  /** Take a comment; one that is there already is left alone. @param {Comment} comment */
  add(comment) {
    if (this.positions.has(comment.seq)) {
      return;
    }
    if (this.positions.size >= this.capacity) {
      const [oldest] = this.positions.keys();
      this.remove(oldest);
    }
    const key = Math.floor(comment.pos_ms / BUCKET_MS);
    const bucket = this.buckets.get(key);
    if (bucket === undefined) {
      this.buckets.set(key, [comment]);
    } else {
      bucket.push(comment);
      this.unsorted.add(key);
    }
    this.positions.set(comment.seq, comment.pos_ms);
  }

  /** Forget a comment. @param {number} seq */
  remove(seq) {
    const position = this.positions.get(seq);
    if (position === undefined) {
      return;
    }
    const key = Math.floor(position / BUCKET_MS);
    const bucket = this.buckets.get(key) ?? [];
    this.buckets.set(
      key,
      bucket.filter((comment) => comment.seq !== seq),
    );
    this.positions.delete(seq);
  }

  /**
   * Comments with positions after `from_ms` up to `to_ms` (included), in order of position.
   * @param {number} from_ms @param {number} to_ms @returns {Comment[]}
   */
  between(from_ms, to_ms) {
    /** @type {Comment[]} */
    const due = [];
    for (let key = Math.floor(from_ms / BUCKET_MS); key <= Math.floor(to_ms / BUCKET_MS); key += 1) {
      for (const comment of this.sorted(key)) {
        if (comment.pos_ms > from_ms && comment.pos_ms <= to_ms) {
          due.push(comment);
        }
      }
    }
    return due;
  }

  /** @param {number} key @returns {Comment[]} */
  sorted(key) {
    const bucket = this.buckets.get(key) ?? [];
    if (this.unsorted.delete(key)) {
      bucket.sort((a, b) => a.pos_ms - b.pos_ms || a.seq - b.seq);
    }
    return bucket;
  }
}

/** A step of the video longer than this is a jump, not play (a hidden tab's timers can be a second late, at double speed). */
const PLAY_STEP_MS = 2_500;

/** After a jump, comments that began this long ago are shown at once, so that the picture is not empty. */
const LOOK_BACK_MS = 1_500;

/** Follows a video's position and says which comments are due. */
export class Follower {
  /** @param {Timeline} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    this.position = -1;
  }

  /**
   * The video is at `position_ms` now.
   * @param {number} position_ms
   * @returns {{jumped: boolean, due: Comment[]}}  `jumped`: what is on the screen belongs to another moment
   */
  step(position_ms) {
    const previous = this.position;
    this.position = position_ms;
    if (previous >= 0 && position_ms >= previous && position_ms - previous <= PLAY_STEP_MS) {
      return { jumped: false, due: this.timeline.between(previous, position_ms) };
    }
    return { jumped: previous >= 0, due: this.timeline.between(position_ms - LOOK_BACK_MS, position_ms) };
  }

  /**
   * A comment arrived just now: show it at once when its moment has passed a short while ago (its author is watching there now).
   * @param {Comment} comment @returns {boolean}
   */
  arrived(comment) {
    return this.position >= 0 && comment.pos_ms <= this.position && comment.pos_ms > this.position - PLAY_STEP_MS;
  }
}
