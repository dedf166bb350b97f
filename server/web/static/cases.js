/**
 * Digests of papers: where a form asks for a file's SHA-256, the browser computes it. Nothing of the file is sent.
 * Without this script the digest is typed in (`sha256sum FILE`).
 */

/** @param {ArrayBuffer} bytes @returns {Promise<string>} SHA-256, hexadecimal */
async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {HTMLElement} part with the file's input and the id of the field that it fills */
function prepare(part) {
  const input = /** @type {HTMLInputElement} */ (part.querySelector("input"));
  const field = /** @type {HTMLInputElement} */ (document.getElementById(part.dataset.digestFor ?? ""));
  part.hidden = false;
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    if (file) {
      field.value = await digestOf(await file.arrayBuffer());
    }
  });
}

// Browsers offer this on encrypted pages and on this machine only.
if (globalThis.crypto?.subtle) {
  for (const part of document.querySelectorAll("[data-digest-for]")) {
    prepare(/** @type {HTMLElement} */ (part));
  }
}
