// Tokens, by each proof that the product can use, from both of Microsoft's libraries.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ConfidentialClientApplication } from "@azure/msal-node";
import { GRAPH_SCOPE, certificateCredential, secretCredential } from "./entra.js";
import { setting, suite } from "./support.js";

const SCOPES = { scopes: [GRAPH_SCOPE] };

/** Whether Graph takes the token: it knows nobody of this id, but says so only to callers it knows. */
async function opensGraph(token) {
  const url = `${setting("GRAPH")}/v1.0/users/00000000-0000-4000-8000-000000000000`;
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  return answer.status === 404;
}

function confidentialClient(proof) {
  const authority = `${setting("GRAPH")}/${setting("TENANT")}`;
  const knownAuthorities = [new URL(authority).host];
  return new ConfidentialClientApplication({
    auth: { clientId: setting("CLIENT_ID"), authority, knownAuthorities, ...proof },
  });
}

suite("tokens", () => {
  test("azure identity gets a token by secret", async () => {
    assert.ok(await opensGraph((await secretCredential().getToken(GRAPH_SCOPE)).token));
  });

  test("azure identity gets a token by certificate", async () => {
    assert.ok(await opensGraph((await certificateCredential().getToken(GRAPH_SCOPE)).token));
  });

  test("azure identity tells why a wrong secret is refused", async () => {
    await assert.rejects(secretCredential("wrong").getToken(GRAPH_SCOPE), /AADSTS7000215/);
  });

  test("msal gets a token by secret and keeps it", async () => {
    const app = confidentialClient({ clientSecret: setting("CLIENT_SECRET") });
    const first = await app.acquireTokenByClientCredential(SCOPES);
    assert.ok(await opensGraph(first.accessToken));
    const again = await app.acquireTokenByClientCredential(SCOPES);
    assert.ok(again.fromCache);
  });

  test("msal gets a token by certificate", async () => {
    const pem = readFileSync(setting("CERTIFICATE"), "utf8");
    const x5c = pem.slice(pem.indexOf("-----BEGIN CERTIFICATE"));
    const thumbprintSha256 = new X509Certificate(x5c).fingerprint256.replaceAll(":", "");
    const privateKey = pem.slice(0, pem.length - x5c.length);
    const app = confidentialClient({ clientCertificate: { thumbprintSha256, privateKey, x5c } });
    const answer = await app.acquireTokenByClientCredential(SCOPES);
    assert.ok(await opensGraph(answer.accessToken));
  });

  test("msal tells why a wrong secret is refused", async () => {
    const app = confidentialClient({ clientSecret: "wrong" });
    await assert.rejects(app.acquireTokenByClientCredential(SCOPES), (error) => {
      assert.equal(error.errorCode, "invalid_client");
      assert.match(error.errorMessage, /7000215/);
      assert.ok(error.correlationId);
      return true;
    });
  });

  test("a token nobody issued opens nothing", async () => {
    assert.ok(!(await opensGraph("eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl")));
  });
});
