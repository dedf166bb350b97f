// Passkeys of staff: asks the server for a challenge, the browser for the answer, and goes where the server says.
// Everything else on staff's pages works without scripts.

const FORM_HEADER = "X-Barrage-Form-Token";

const ADDRESSES = {
  "sign-in": { begin: "/staff/passkey/begin", end: "/staff/passkey" },
  confirm: { begin: "/staff/passkey/confirm/begin", end: "/staff/passkey/confirm" },
  add: { begin: "/staff/keys/begin", end: "/staff/keys" },
};

function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

function toText(bytes) {
  const plain = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function post(address, token, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", [FORM_HEADER]: token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

function withBytes(list) {
  return (list ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));
}

async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    },
  });
  return credential(made, { attestationObject: toText(made.response.attestationObject) });
}

async function get(options) {
  const given = await navigator.credentials.get({
    publicKey: { ...options, challenge: toBytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) },
  });
  return credential(given, {
    authenticatorData: toText(given.response.authenticatorData),
    signature: toText(given.response.signature),
  });
}

function credential(found, response) {
  return {
    id: found.id,
    rawId: toText(found.rawId),
    type: found.type,
    clientExtensionResults: found.getClientExtensionResults(),
    response: { clientDataJSON: toText(found.response.clientDataJSON), ...response },
  };
}

async function run(part) {
  const kind = part.dataset.passkey;
  const { begin, end } = ADDRESSES[kind];
  const { id, options } = await post(begin, part.dataset.token, {});
  const answer = kind === "add" ? await create(options) : await get(options);
  const label = part.querySelector("input")?.value ?? "";
  const { next } = await post(end, part.dataset.token, { id, credential: answer, label });
  location.assign(part.dataset.return ?? next);
}

if (window.PublicKeyCredential) {
  for (const part of document.querySelectorAll("[data-passkey]")) {
    const button = part.querySelector("button");
    const problem = part.querySelector(".problem");
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
}
