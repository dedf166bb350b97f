/**
 * The player's controls: play, position, sound, full screen. The picture is the room's video or, without one, a generated live stream.
 */

import { Picture } from "./picture.js";
import { clock } from "./rows.js";
import { t } from "./words.js";

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** Give a control its drawing and its name. @param {HTMLElement} button @param {string} icon @param {string} label */
export function face(button, icon, label) {
  button.querySelector("use")?.setAttribute("href", `#i-${icon}`);
  button.title = label;
  button.setAttribute("aria-label", label);
}

export class Player extends EventTarget {
  /** Fires `playing` after play and pause, `position` when the video's position changed, `failed` when it cannot be played. @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.video = video;
    /** @type {Picture | null} */
    this.picture = null;
    if (!video.hasAttribute("src")) {
      this.picture = new Picture();
      byId("poster").remove();
      video.hidden = false;
      video.srcObject = this.picture.stream();
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
        this.play();
      }
    }
    video.controls = false;
    video.addEventListener("error", () => this.dispatchEvent(new Event("failed")));
    for (const type of ["play", "pause", "ended"]) {
      video.addEventListener(type, () => this.#onPlaying());
    }
    byId("play").addEventListener("click", () => this.toggle());
    video.addEventListener("click", () => this.toggle());
    this.#fullscreen(byId("full"), /** @type {HTMLElement} */ (video.closest(".player")));
    if (byId("seek") !== null) {
      this.#position(byId("seek"), byId("clock"));
      this.#sound(byId("mute"));
    }
    this.#onPlaying();
  }

  /** Milliseconds into the video, or shown of the generated picture. */
  get position_ms() {
    return this.picture === null ? this.video.currentTime * 1000 : this.picture.shown_ms;
  }

  /** Whether the video cannot be played; it may have failed before this script began. */
  get failed() {
    return this.video.error !== null;
  }

  get playing() {
    return !this.video.paused && !this.video.ended;
  }

  toggle() {
    if (this.playing) {
      this.video.pause();
    } else {
      this.play();
    }
  }

  /** A browser may forbid to play without a gesture; then the button does it. */
  play() {
    this.video.play().catch(() => this.#onPlaying());
  }

  #onPlaying() {
    if (this.playing) {
      this.picture?.play();
    } else {
      this.picture?.pause();
    }
    face(byId("play"), this.playing ? "pause" : "play", t(this.playing ? "pause" : "play"));
    this.dispatchEvent(new Event("playing"));
  }

  /** @param {HTMLInputElement} seek @param {HTMLElement} label */
  #position(seek, label) {
    const { video } = this;
    const show = () => {
      const duration = Number.isFinite(video.duration) ? video.duration : 0;
      seek.max = String(duration);
      seek.value = String(video.currentTime);
      label.textContent = `${clock(video.currentTime * 1000)} / ${clock(duration * 1000)}`;
      seek.setAttribute("aria-valuetext", label.textContent);
      this.dispatchEvent(new Event("position"));
    };
    for (const type of ["timeupdate", "durationchange", "seeking", "seeked"]) {
      video.addEventListener(type, show);
    }
    seek.addEventListener("input", () => {
      video.currentTime = Number(seek.value);
    });
    show();
  }

  /** @param {HTMLElement} button */
  #sound(button) {
    const show = () => face(button, this.video.muted ? "mute" : "sound", t(this.video.muted ? "unmute" : "mute"));
    button.addEventListener("click", () => {
      this.video.muted = !this.video.muted;
    });
    this.video.addEventListener("volumechange", show);
    show();
  }

  /** @param {HTMLElement} button @param {HTMLElement} player */
  #fullscreen(button, player) {
    if (!document.fullscreenEnabled) {
      button.hidden = true;
      return;
    }
    button.addEventListener("click", () => {
      if (document.fullscreenElement === null) {
        player.requestFullscreen().catch(() => undefined); // refused without a gesture; nothing to tell
      } else {
        document.exitFullscreen();
      }
    });
    document.addEventListener("fullscreenchange", () => {
      face(button, "full", t(document.fullscreenElement === null ? "fullscreen" : "fullscreen_leave"));
    });
  }
}
