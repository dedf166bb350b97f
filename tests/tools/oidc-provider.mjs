// The real oidc-provider for tests: `node oidc-provider.mjs REDIRECT_URI ...`. It takes a free port of this machine, says its issuer
// in a line of JSON, and makes a new signing key for each line "rotate" that it reads. It ends with its input.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const redirect_uris = process.argv.slice(2);
let count = 0;

/** @param {string} issuer */
async function provider(issuer) {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  count += 1;
  return new Provider(issuer, {
    clients: [{ client_id: "barrage", client_secret: "geheim", redirect_uris, response_types: ["code"], grant_types: ["authorization_code"] }],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: `key-${count}`, use: "sig", alg: "RS256" }] },
    cookies: { keys: ["test"] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: { devInteractions: { enabled: true } },
  });
}

const server = createServer();
server.listen(0, "127.0.0.1", async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let handle = (await provider(issuer)).callback();
  server.on("request", (request, response) => handle(request, response));
  console.log(JSON.stringify({ issuer }));
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    if (line === "rotate") {
      handle = (await provider(issuer)).callback();
      console.log(JSON.stringify({ rotated: count }));
    }
  });
  lines.on("close", () => process.exit(0));
});
