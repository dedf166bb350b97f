/** The panel of the overlay's preferences, and the switches in the bar. What the reader chose is kept in this browser. */

import { PREFERENCES } from "./overlay.js";
import { face } from "./player.js";
import { t } from "./words.js";

/** @typedef {import("./overlay.js").Overlay} Overlay */
/** @typedef {import("./overlay.js").Preferences} Preferences */

const KEY = "barrage.overlay";

/** @returns {Preferences} */
function stored() {
  try {
    const given = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const known = Object.entries(PREFERENCES).filter(([name, value]) => typeof given[name] === typeof value);
    return { ...PREFERENCES, ...Object.fromEntries(known.map(([name]) => [name, given[name]])) };
  } catch {
    return { ...PREFERENCES }; // unreadable, or storage is forbidden
  }
}

/** @param {Preferences} preferences */
function store(preferences) {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Storage is full or forbidden: the choice holds for this page only.
  }
}

/**
 * Connect panel and switches with the overlay.
 * @param {Overlay} overlay @param {{panel: HTMLElement, fly: HTMLElement, hold: HTMLElement}} controls
 */
export function connectSettings(overlay, { panel, fly, hold }) {
  overlay.configure(stored());
  const change = (/** @type {Partial<Preferences>} */ changes) => {
    overlay.configure(changes);
    store(overlay.preferences);
  };

  for (const field of /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (panel.querySelectorAll("input, select"))) {
    const name = /** @type {keyof Preferences} */ (field.name);
    const output = panel.querySelector(`[data-for="${field.id}"]`);
    const show = () => {
      if (output !== null) {
        const value = Number(field.value);
        const text = name === "speed" ? t("times", { n: value }) : t("percent", { n: Math.round(value * 100) });
        output.textContent = text;
        field.setAttribute("aria-valuetext", text);
      }
    };
    field.value = String(overlay.preferences[name]);
    field.addEventListener("input", () => {
      change({ [name]: field instanceof HTMLSelectElement ? field.value : Number(field.value) });
      show();
    });
    show();
  }

  const showFly = () => {
    const { on } = overlay.preferences;
    fly.setAttribute("aria-pressed", String(on));
    face(fly, on ? "fly" : "fly-off", t(on ? "comments_off" : "comments_on"));
  };
  fly.addEventListener("click", () => {
    change({ on: !overlay.preferences.on });
    showFly();
  });
  showFly();

  hold.addEventListener("click", () => {
    const held = hold.getAttribute("aria-pressed") !== "true";
    overlay.pause("reader", held);
    hold.setAttribute("aria-pressed", String(held));
    face(hold, held ? "play" : "hold", t(held ? "comments_resume" : "comments_pause"));
  });
}

/** Panels that open on demand: one at a time, closed by Escape and by a click elsewhere. */
export function connectPopups() {
  const popups = /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.popup"));
  const close = (/** @type {Node | null} */ except) => {
    popups.forEach((popup) => {
      popup.open = popup.open && except !== null && popup.contains(except);
    });
  };
  document.addEventListener("click", ({ target }) => close(/** @type {Node} */ (target)));
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") {
      const open = [...popups].find((popup) => popup.open);
      close(null);
      open?.querySelector("summary")?.focus();
    }
  });
}
