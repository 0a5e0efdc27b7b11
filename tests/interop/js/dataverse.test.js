// Rows through DynamicsWebApi, the client that most JavaScript against Dataverse is written with.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { DynamicsWebApi } from "dynamics-web-api";
import { secretCredential } from "./entra.js";
import { dataverseDoor, setting, suite } from "./support.js";

const credential = secretCredential();

const api = () =>
  new DynamicsWebApi({
    serverUrl: setting("DATAVERSE"),
    dataApi: { version: "9.2" },
    propagateErrors: true,
    onTokenRefresh: async () => (await credential.getToken(`${setting("DATAVERSE")}/.default`)).token,
  });

/** A name of a test's own, so that others do not disturb its lists. */
const mark = () => randomUUID().slice(0, 12);

const refused = (work) => work.then(() => assert.fail("was accepted"), (error) => error);

/** A contact of this name; its id. */
const create = (name, more = {}) => api().create({ collection: "contacts", data: { lastname: name, ...more } });

const read = (key, ...select) => api().retrieve({ collection: "contacts", key, select });

suite("dataverse", () => {
  test("the organization is who it says", async () => {
    const me = await api().callFunction({ name: "WhoAmI" });
    assert.equal(me.OrganizationId, setting("ORGANIZATION"));
  });

  test("a contact is made read changed and removed", async () => {
    const key = await create(mark(), { firstname: "Ada" });
    assert.equal((await read(key, "firstname")).firstname, "Ada");
    await api().update({ collection: "contacts", key, data: { firstname: "Augusta" } });
    await api().updateSingleProperty({ collection: "contacts", key, fieldValuePair: { jobtitle: "Analyst" } });
    const changed = await read(key, "firstname", "jobtitle");
    assert.deepEqual([changed.firstname, changed.jobtitle], ["Augusta", "Analyst"]);
    await api().deleteRecord({ collection: "contacts", key });
    const error = await refused(read(key, "firstname"));
    assert.deepEqual([error.status, error.code], [404, "0x80040217"]);
  });

  test("a version that has moved on is refused", async () => {
    const key = await create(mark());
    const { "@odata.etag": ifmatch } = await read(key, "lastname");
    await api().update({ collection: "contacts", key, ifmatch, data: { firstname: "a" } });
    const error = await refused(api().update({ collection: "contacts", key, ifmatch, data: { firstname: "b" } }));
    assert.deepEqual([error.status, error.code], [412, "0x80060882"]);
    const missing = await refused(api().update({ collection: "contacts", key: randomUUID(), data: {} }));
    assert.equal(missing.status, 404);
  });

  test("an upsert makes the row that is missing", async () => {
    const key = randomUUID();
    await api().upsert({ collection: "contacts", key, data: { lastname: mark() } });
    assert.equal((await read(key, "contactid")).contactid, key);
    const shown = await api().upsert({
      collection: "contacts", key, data: { firstname: "Ada" }, returnRepresentation: true, select: ["firstname"],
    });
    assert.equal(shown.firstname, "Ada");
  });

  test("pages give every row once", async () => {
    const name = mark();
    for (let number = 0; number < 7; number += 1) {
      await create(name, { firstname: String(number) });
    }
    const asked = {
      collection: "contacts", select: ["firstname"], filter: `lastname eq '${name}'`, maxPageSize: 3, count: true,
    };
    const first = await api().retrieveMultiple(asked);
    assert.deepEqual([first.value.length, first.oDataCount], [3, 7]);
    const all = await api().retrieveAll(asked);
    assert.deepEqual(all.value.map((row) => Number(row.firstname)).sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.equal(await api().count({ collection: "contacts", filter: `lastname eq '${name}'` }), 7);
  });

  test("changes are tracked from a full pass on", async () => {
    const kept = await create(mark());
    const gone = await create(mark());
    const full = await api().retrieveMultiple({
      collection: "contacts", select: ["firstname", "lastname"], trackChanges: true,
    });
    assert.ok(full.oDataDeltaLink);
    await api().update({ collection: "contacts", key: kept, data: { firstname: "new" } });
    await api().deleteRecord({ collection: "contacts", key: gone });
    // Other tests write contacts too.
    const delta = await api().retrieveMultiple({ collection: "contacts" }, full.oDataDeltaLink);
    assert.equal(delta.value.find((row) => row.contactid === kept).firstname, "new");
    assert.equal(delta.value.find((row) => row.id === gone).reason, "deleted");
    const error = await refused(api().retrieveMultiple({
      collection: "contacts", select: ["lastname"], filter: "statecode eq 0", trackChanges: true,
    }));
    assert.match(error.message, /isn't supported when Change Tracking is enabled/);
  });

  test("a batch is one change set", async () => {
    const name = mark();
    const batch = api();
    batch.startBatch();
    batch.create({ collection: "contacts", data: { lastname: name }, contentId: "1" });
    batch.create({
      collection: "adx_externalidentities",
      data: { adx_username: name, "adx_contactid@odata.bind": "$1" },
    });
    batch.retrieveMultiple({ collection: "contacts", select: ["lastname"], filter: `lastname eq '${name}'` });
    const [contact, identity, listed] = await batch.executeBatch();
    assert.deepEqual(listed.value.map((row) => row.contactid), [contact]);
    const linked = await api().retrieve({
      collection: "adx_externalidentities", key: identity, select: ["_adx_contactid_value"],
    });
    assert.equal(linked._adx_contactid_value, contact);
    const bad = api();
    bad.startBatch();
    bad.create({ collection: "contacts", data: { lastname: name } });
    bad.create({ collection: "contacts", data: { firstname: "x".repeat(51) } });
    const error = await refused(bad.executeBatch());
    // The client leaves the errors of parts as they came.
    assert.deepEqual(error.map((one) => [one.status, one.error.code]), [[400, "0x80044331"]]);
    assert.equal(await api().count({ collection: "contacts", filter: `lastname eq '${name}'` }), 1);
  });

  test("a throttled call tells when to come back", async () => {
    // Only this test asks for solutions.
    const fault = { path: "solutions", answer: { throttled: { limit: "concurrency", retry_after: 3 } } };
    await dataverseDoor("POST", "/__faults", fault);
    const error = await refused(api().retrieveMultiple({ collection: "solutions", select: ["uniquename"] }));
    assert.deepEqual([error.status, error.code, error.headers["retry-after"]], [429, "0x80072326", "3"]);
  });

  test("an endpoint a step and an image are made and read back", async () => {
    const endpoint = await api().create({
      collection: "serviceendpoints",
      data: {
        name: mark(), contract: 6, namespaceformat: 2, namespaceaddress: "sb://elsewhere.example/",
        solutionnamespace: "elsewhere", path: "contacts", connectionmode: 1, authtype: 2, saskeyname: "send",
        saskey: "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=", messageformat: 2, messagecharset: 0, userclaim: 1,
      },
    });
    const shown = await api().retrieve({ collection: "serviceendpoints", key: endpoint });
    assert.equal(shown.issaskeyset, true);
    assert.ok(!("saskey" in shown));
    const messages = await api().retrieveMultiple({
      collection: "sdkmessages", select: ["sdkmessageid"], filter: "name eq 'Delete'",
    });
    const { sdkmessageid } = messages.value[0];
    const filters = await api().retrieveMultiple({
      collection: "sdkmessagefilters",
      select: ["sdkmessagefilterid"],
      filter: `_sdkmessageid_value eq ${sdkmessageid} and primaryobjecttypecode eq 'adx_externalidentity'`,
    });
    const step = await api().create({
      collection: "sdkmessageprocessingsteps",
      data: {
        name: mark(), stage: 40, mode: 1, rank: 1, supporteddeployment: 0, asyncautodelete: true,
        "eventhandler_serviceendpoint@odata.bind": `/serviceendpoints(${endpoint})`,
        "sdkmessageid@odata.bind": `/sdkmessages(${sdkmessageid})`,
        "sdkmessagefilterid@odata.bind": `/sdkmessagefilters(${filters.value[0].sdkmessagefilterid})`,
      },
    });
    await api().create({
      collection: "sdkmessageprocessingstepimages",
      data: {
        name: "contactsync", entityalias: "PreImage", imagetype: 0, messagepropertyname: "Target",
        attributes: "adx_username", "sdkmessageprocessingstepid@odata.bind": `/sdkmessageprocessingsteps(${step})`,
      },
    });
    const back = await api().retrieve({
      collection: "sdkmessageprocessingsteps",
      key: step,
      select: ["stage", "mode", "_eventhandler_value"],
      expand: [
        { property: "sdkmessageid", select: ["name"] },
        { property: "sdkmessageprocessingstepid_sdkmessageprocessingstepimage", select: ["entityalias"] },
      ],
    });
    assert.deepEqual([back.stage, back.mode, back._eventhandler_value], [40, 1, endpoint]);
    assert.equal(back.sdkmessageid.name, "Delete");
    assert.equal(back.sdkmessageprocessingstepid_sdkmessageprocessingstepimage[0].entityalias, "PreImage");
    await api().deleteRecord({ collection: "serviceendpoints", key: endpoint });
    const error = await refused(api().retrieve({ collection: "sdkmessageprocessingsteps", key: step }));
    assert.equal(error.status, 404);
  });
});
