/** What the desk's pages with keys of one letter share. */

const KEYS_OFF = "barrage-desk-keys-off";

/** @param {string} selector @returns {HTMLElement | null} */
export const find = (selector) => document.querySelector(selector);

/** @param {Event} event @returns {boolean} whether somebody writes there */
export function isWriting(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  return target.matches('input:not([type="radio"], [type="checkbox"]), textarea, select');
}

/** Whether this browser's user wants keys of one letter. @returns {boolean} */
export const keysAreOn = () => localStorage.getItem(KEYS_OFF) === null;

/** The box that turns keys off, remembered by this browser. @returns {() => boolean} whether they are on */
export function keySwitch() {
  const box = /** @type {HTMLInputElement | null} */ (find("#keys-on"));
  if (!box) {
    return () => false;
  }
  box.checked = keysAreOn();
  box.addEventListener("change", () => {
    if (box.checked) {
      localStorage.removeItem(KEYS_OFF);
    } else {
      localStorage.setItem(KEYS_OFF, "1");
    }
  });
  return () => box.checked;
}
