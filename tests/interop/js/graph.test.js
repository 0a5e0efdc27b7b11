// Users through Microsoft's Graph client, with its own retries.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Client } from "@microsoft/microsoft-graph-client";
import { GRAPH_SCOPE, secretCredential } from "./entra.js";
import { atMost, door, setting, suite } from "./support.js";

const credential = secretCredential();

const graph = Client.init({
  baseUrl: setting("GRAPH"),
  customHosts: new Set(["localhost"]),
  authProvider: (done) => {
    credential.getToken(GRAPH_SCOPE).then(({ token }) => done(null, token), (error) => done(error, null));
  },
});

/** A fresh user with a sign-in address of its own: where it is, and its id. */
async function freshUser() {
  const id = randomUUID();
  const identities = [{ signInType: "emailAddress", issuerAssignedId: `${id.slice(0, 8)}@old.example` }];
  const properties = { displayName: "Ada L.", givenName: "Ada", jobTitle: "Analyst" };
  await door("POST", "/__users", { id, properties, identities });
  return { id, path: `/users/${id}` };
}

async function stored(id) {
  return (await door("GET", `/__users/${id}`)).properties;
}

/** The error that a PATCH is refused with. */
async function refusal(path, body) {
  const error = await graph.api(path).patch(body).then(() => assert.fail("was accepted"), (refused) => refused);
  return { status: error.statusCode, code: error.code, requestId: error.requestId, ...JSON.parse(error.body ?? "{}") };
}

/** Status and retry mark of each call that named the user. */
async function attempts(id) {
  const { entries } = await door("GET", "/__journal");
  return entries.filter((one) => one.path.includes(id)).map((one) => [one.status, one.retry_attempt]);
}

suite("graph", () => {
  test("a user is read with the usual properties", async () => {
    const { id, path } = await freshUser();
    const got = await graph.api(path).get();
    assert.deepEqual([got.id, got.displayName, got.givenName, got.jobTitle], [id, "Ada L.", "Ada", "Analyst"]);
    assert.ok(got.userPrincipalName);
    assert.equal(got.identities, undefined);
  });

  test("a patch sets what it names and leaves the rest", async () => {
    const { path } = await freshUser();
    await graph.api(path).patch({ surname: "Lovelace", otherMails: ["ada@new.example"] });
    const got = await graph.api(path).select(["givenName", "surname", "otherMails"]).get();
    assert.deepEqual([got.givenName, got.surname, got.otherMails], ["Ada", "Lovelace", ["ada@new.example"]]);
  });

  test("a property is cleared by null", async () => {
    const { path } = await freshUser();
    await graph.api(path).patch({ jobTitle: null });
    assert.equal((await graph.api(path).get()).jobTitle, null);
  });

  test("a sign in address is changed within the identities", async () => {
    const { id, path } = await freshUser();
    const { identities } = await graph.api(path).select("id,identities").get();
    assert.deepEqual(identities.map((one) => one.signInType).sort(), ["emailAddress", "userPrincipalName"]);
    const wanted = `${id.slice(0, 8)}@new.example`;
    identities.find((one) => one.signInType === "emailAddress").issuerAssignedId = wanted;
    await graph.api(path).patch({ identities });
    const after = (await graph.api(path).select("identities").get()).identities;
    assert.equal(after.length, 2);
    assert.equal(after.find((one) => one.signInType === "emailAddress").issuerAssignedId, wanted);
  });

  test("identities without the principal name are refused", async () => {
    const { path } = await freshUser();
    const only = { signInType: "emailAddress", issuer: "contoso.onmicrosoft.com", issuerAssignedId: "a@b.example" };
    const { status, code } = await refusal(path, { identities: [only] });
    assert.deepEqual([status, code], [400, "Request_BadRequest"]);
  });

  test("an address of another user is a conflict that names it", async () => {
    const [{ path }, other] = [await freshUser(), randomUUID()];
    const mail = `${other.slice(0, 8)}@taken.example`;
    await door("POST", "/__users", { id: other, properties: { mail } });
    const { status, details } = await refusal(path, { mail });
    assert.equal(status, 400);
    const targets = Object.fromEntries(details.map((detail) => [detail.code, detail.target]));
    assert.ok("ObjectConflict" in targets);
    assert.equal(targets.ConflictingObjects.toLowerCase(), `user_${other}`);
  });

  test("a bad value is refused with its target and nothing is applied", async () => {
    const { id, path } = await freshUser();
    const { status, code, requestId, details } = await refusal(path, { givenName: "", surname: "Lovelace" });
    assert.deepEqual([status, code], [400, "Request_BadRequest"]);
    assert.deepEqual(details.map((detail) => [detail.code, detail.target]), [["InvalidValue", "givenName"]]);
    assert.ok(requestId);
    assert.ok(!("surname" in (await stored(id))));
  });

  test("an unknown user is not found", async () => {
    const { status, code } = await refusal(`/users/${randomUUID()}`, { givenName: "Nobody" });
    assert.deepEqual([status, code], [404, "Request_ResourceNotFound"]);
  });

  test("a batch answers each item by its id", async () => {
    const { id, path } = await freshUser();
    const item = (number, url) => ({
      id: number,
      method: "PATCH",
      url,
      headers: { "Content-Type": "application/json" },
      body: { surname: "King" },
    });
    const requests = [item("good", path), item("lost", `/users/${randomUUID()}`)];
    const { responses } = await graph.api("/$batch").post({ requests });
    const statuses = Object.fromEntries(responses.map((one) => [one.id, one.status]));
    assert.deepEqual(statuses, { good: 204, lost: 404 });
    assert.equal((await stored(id)).surname, "King");
  });

  for (const status of [429, 503]) {
    test(`the sdk itself waits and tries again when throttled with ${status}`, async () => {
      const { id, path } = await freshUser();
      const answer = { error: { status, retry_after: { seconds: 0.5 } } };
      await door("POST", "/__faults", { user: id, method: "PATCH", times: 2, answer });
      await atMost(20_000, () => graph.api(path).patch({ surname: "Patient" }));
      assert.deepEqual(await attempts(id), [[status, null], [status, "1"], [204, "2"]]);
      assert.equal((await stored(id)).surname, "Patient");
    });
  }

  test("the sdk does not repeat a server error", async () => {
    const { id, path } = await freshUser();
    await door("POST", "/__faults", { user: id, method: "PATCH", answer: { error: { status: 500 } } });
    assert.equal((await refusal(path, { surname: "Unlucky" })).status, 500);
    assert.deepEqual(await attempts(id), [[500, null]]);
  });
});
