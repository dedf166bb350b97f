/**
 * A generated moving picture as a live stream: lanterns over a lake at night. It stands for a camera where no video file is at hand.
 *
 * Still parts are drawn once; a frame copies them and moves a few dozen sprites, 20 times a second.
 */

const WIDTH = 960;
const HEIGHT = 540;
const HORIZON = 360;
const FRAMES_PER_S = 20;
const LANTERNS = 26;
const FIRST_S = 20; // the scene begins with lanterns on their way

/** Numbers that look random but are the same each time. @param {number} n @returns {number} from 0 to 1 */
function scatter(n) {
  const x = Math.sin(n * 127.1 + 11.7) * 43758.5453;
  return x - Math.floor(x);
}

/** @param {number} width @param {number} height @param {(pen: CanvasRenderingContext2D) => void} draw @returns {HTMLCanvasElement} */
function prepared(width, height, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  draw(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")));
  return canvas;
}

/** @param {CanvasRenderingContext2D} pen @param {number} from @param {number} to @param {string[]} colours */
function gradient(pen, from, to, colours) {
  const fill = pen.createLinearGradient(0, from, 0, to);
  colours.forEach((colour, index) => fill.addColorStop(index / (colours.length - 1), colour));
  return fill;
}

/** A ridge that repeats after `WIDTH`. @param {string} colour @param {number} height @param {number} seed */
function ridge(colour, height, seed) {
  return prepared(WIDTH, HORIZON, (pen) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(0, HORIZON);
    for (let x = 0; x <= WIDTH; x += 4) {
      const turn = (2 * Math.PI * x) / WIDTH;
      const y = Math.sin(turn * 2 + seed) * 0.45 + Math.sin(turn * 5 + seed * 2) * 0.25 + Math.sin(turn * 11 + seed * 3) * 0.1;
      pen.lineTo(x, HORIZON - height * (0.75 + 0.5 * y));
    }
    pen.lineTo(WIDTH, HORIZON);
    pen.fill();
  });
}

function backdrop() {
  return prepared(WIDTH, HEIGHT, (pen) => {
    pen.fillStyle = gradient(pen, 0, HORIZON, ["#0b1230", "#1b2a55", "#3f4a78", "#8a6f86"]);
    pen.fillRect(0, 0, WIDTH, HORIZON);
    for (let n = 0; n < 120; n += 1) {
      pen.fillStyle = `rgba(255, 255, 255, ${0.2 + 0.6 * scatter(n)})`;
      pen.fillRect(scatter(n + 200) * WIDTH, scatter(n + 400) * HORIZON * 0.7, 1.5, 1.5);
    }
    const halo = pen.createRadialGradient(740, 110, 20, 740, 110, 150);
    halo.addColorStop(0, "rgba(255, 244, 214, 0.55)");
    halo.addColorStop(1, "rgba(255, 244, 214, 0)");
    pen.fillStyle = halo;
    pen.fillRect(560, 0, 380, 280);
    pen.fillStyle = "#fff4d6";
    pen.beginPath();
    pen.arc(740, 110, 34, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = gradient(pen, HORIZON, HEIGHT, ["#6d5f7e", "#2c3560", "#0c1432"]);
    pen.fillRect(0, HORIZON, WIDTH, HEIGHT - HORIZON);
  });
}

function lantern() {
  return prepared(96, 96, (pen) => {
    const glow = pen.createRadialGradient(48, 48, 4, 48, 48, 48);
    glow.addColorStop(0, "rgba(255, 196, 110, 0.75)");
    glow.addColorStop(0.35, "rgba(255, 150, 60, 0.25)");
    glow.addColorStop(1, "rgba(255, 140, 50, 0)");
    pen.fillStyle = glow;
    pen.fillRect(0, 0, 96, 96);
    pen.fillStyle = gradient(pen, 34, 62, ["#ffb259", "#ffe2a6", "#ff9a3d"]);
    pen.beginPath();
    pen.moveTo(38, 36);
    pen.quadraticCurveTo(48, 29, 58, 36);
    pen.lineTo(55, 60);
    pen.lineTo(41, 60);
    pen.fill();
  });
}

export class Picture {
  /** @type {number | undefined} */ #timer = undefined;
  #time = FIRST_S; // seconds; the scene stands still while paused

  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { alpha: false }));
    this.backdrop = backdrop();
    this.far = ridge("#39406b", 120, 1);
    this.near = ridge("#1d2448", 70, 4);
    this.lantern = lantern();
    this.#draw();
  }

  /** How much was shown until now. */
  get shown_ms() {
    return (this.#time - FIRST_S) * 1000;
  }

  /** @returns {MediaStream} */
  stream() {
    return this.canvas.captureStream(FRAMES_PER_S);
  }

  play() {
    this.#timer ??= window.setInterval(() => {
      this.#time += 1 / FRAMES_PER_S;
      this.#draw();
    }, 1000 / FRAMES_PER_S);
  }

  pause() {
    window.clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #draw() {
    const { pen } = this;
    pen.globalAlpha = 1;
    pen.drawImage(this.backdrop, 0, 0);
    this.#drift(this.far, 3);
    this.#drift(this.near, 7);
    this.#water();
    for (let n = 0; n < LANTERNS; n += 1) {
      this.#lantern(n);
    }
  }

  /** @param {HTMLCanvasElement} layer @param {number} speed  pixels per second */
  #drift(layer, speed) {
    const x = -((this.#time * speed) % WIDTH);
    this.pen.drawImage(layer, x, 0);
    this.pen.drawImage(layer, x + WIDTH, 0);
  }

  #water() {
    const { pen } = this;
    for (let n = 0; n < 46; n += 1) {
      const depth = scatter(n + 50);
      const y = HORIZON + 6 + depth * (HEIGHT - HORIZON - 10);
      const width = 20 + 70 * depth;
      const nearMoon = n % 2 === 0;
      const x = nearMoon ? 740 + (scatter(n + 90) - 0.5) * 120 : scatter(n + 130) * WIDTH;
      pen.globalAlpha = (nearMoon ? 0.28 : 0.1) * (0.6 + 0.4 * Math.sin(this.#time * 1.3 + n));
      pen.fillStyle = nearMoon ? "#fff1cf" : "#b9c2ff";
      pen.fillRect(x - width / 2 + Math.sin(this.#time * 0.7 + n) * 8, y, width, 1.6);
    }
  }

  /** @param {number} n */
  #lantern(n) {
    const { pen } = this;
    const life = 36 + 30 * scatter(n);
    const age = (this.#time / life + scatter(n + 60)) % 1;
    const size = (26 + 50 * scatter(n + 20)) * (1 - 0.35 * age);
    const x = scatter(n + 40) * WIDTH + Math.sin(this.#time * 0.35 + n) * 14 + age * 50 - 25;
    const y = HORIZON - 6 - age * (HORIZON + 40);
    pen.globalAlpha = Math.min(1, age * 8, (1 - age) * 5) * (0.85 + 0.15 * Math.sin(this.#time * 3 + n * 2));
    pen.drawImage(this.lantern, x - size / 2, y - size / 2, size, size);
    pen.globalAlpha *= 0.3;
    const below = HORIZON + (HORIZON - y) * 0.42;
    if (below < HEIGHT) {
      pen.drawImage(this.lantern, x - size / 2, below - size / 5, size, size * 0.4);
    }
  }
}
