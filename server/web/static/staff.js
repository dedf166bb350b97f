/**
 * Passkeys of staff: asks the server for a challenge and the browser for the answer, and goes where the server says.
 * Everything else on staff's pages works without scripts.
 */

const FORM_HEADER = "X-Barrage-Form-Token";

/** @type {Record<string, {begin: string, end: string}>} */
const ADDRESSES = {
  "sign-in": { begin: "/staff/passkey/begin", end: "/staff/passkey" },
  confirm: { begin: "/staff/passkey/confirm/begin", end: "/staff/passkey/confirm" },
  add: { begin: "/staff/keys/begin", end: "/staff/keys" },
};

/** @param {string} text base64url @returns {Uint8Array<ArrayBuffer>} */
function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

/** @param {ArrayBuffer} bytes @returns {string} base64url */
function toText(bytes) {
  const plain = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} address @param {string} token of the page's forms @param {object} body @returns {Promise<any>} */
async function post(address, token, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", [FORM_HEADER]: token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${address}: ${answer.status}`);
  }
  return answer.json();
}

/** @param {any[] | undefined} list of credentials, their ids as text */
function withBytes(list) {
  return (list ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));
}

/** Have the authenticator make a passkey. @param {any} options the server's @returns {Promise<object>} */
async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    },
  });
  return credential(made, (response) => ({ attestationObject: toText(response.attestationObject) }));
}

/** Have the authenticator answer a challenge. @param {any} options the server's @returns {Promise<object>} */
async function get(options) {
  const given = await navigator.credentials.get({
    publicKey: { ...options, challenge: toBytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) },
  });
  return credential(given, (response) => ({
    authenticatorData: toText(response.authenticatorData),
    signature: toText(response.signature),
  }));
}

/**
 * @param {any} found what the browser gave
 * @param {(response: any) => object} rest of its response, beside the client's data
 */
function credential(found, rest) {
  return {
    id: found.id,
    rawId: toText(found.rawId),
    type: found.type,
    clientExtensionResults: found.getClientExtensionResults(),
    response: { clientDataJSON: toText(found.response.clientDataJSON), ...rest(found.response) },
  };
}

/** @param {HTMLElement} part of the page, with its kind, its token and perhaps where to go afterwards */
async function run(part) {
  const kind = part.dataset.passkey ?? "";
  const token = part.dataset.token ?? "";
  const { begin, end } = ADDRESSES[kind];
  const { id, options } = await post(begin, token, {});
  const answer = kind === "add" ? await create(options) : await get(options);
  const label = part.querySelector("input")?.value ?? "";
  const { next } = await post(end, token, { id, credential: answer, label });
  location.assign(part.dataset.return ?? next);
}

/** @param {HTMLElement} part */
function prepare(part) {
  const button = /** @type {HTMLButtonElement} */ (part.querySelector("button"));
  const problem = /** @type {HTMLElement} */ (part.querySelector(".problem"));
  part.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    problem.hidden = true;
    try {
      await run(part);
    } catch (error) {
      console.warn(error);
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}

if (typeof PublicKeyCredential === "function") {
  for (const part of document.querySelectorAll("[data-passkey]")) {
    prepare(/** @type {HTMLElement} */ (part));
  }
}
