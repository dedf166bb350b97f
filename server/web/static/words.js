/** The page's words: handed over by the server in the reader's language, so that no script holds a sentence. */

/** @type {Record<string, string>} */
let messages = {};

/** @param {Record<string, string>} given */
export function useWords(given) {
  messages = given;
}

/** A message with its `{placeholders}` filled in. @param {string} key @param {Record<string, string | number>} [values] @returns {string} */
export function t(key, values = {}) {
  return (messages[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
