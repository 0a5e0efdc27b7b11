// Where the services are, and the few things that most tests do.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { ServiceBusClient } from "@azure/service-bus";
import Long from "long";

/** Milliseconds: longer than anything that works takes, short enough to wait for what does not. */
export const PATIENCE = 1000 * Number(process.env.INTEROP_PATIENCE ?? "15");

/** What run.py says about the services; see README.md. */
export function setting(name) {
  const value = process.env[`INTEROP_${name}`];
  assert.ok(value, `INTEROP_${name} is not set; start the suite by run.sh`);
  return value;
}

/** Options of a client that reports the first failure instead of trying again. */
export function impatient(timeoutInMs = PATIENCE) {
  return { retryOptions: { maxRetries: 0, timeoutInMs } };
}

/** A client that reports the first failure instead of trying again. */
export function connect(connectionString = setting("BUS"), options = impatient()) {
  return new ServiceBusClient(connectionString, options);
}

/** Tests that run at once. A client that hangs after the last of them does not keep the runner waiting. */
export function suite(name, tests) {
  describe(name, { concurrency: true }, () => {
    tests();
    after(() => setTimeout(() => process.exit(), 1000).unref());
  });
}

/** A test with a client and with the queue in Config.json that is named as the test is. */
export function judge(name, work) {
  test(name, { timeout: 3 * PATIENCE }, async () => {
    const client = connect();
    try {
      await work(client, name.replaceAll(" ", "-"));
    } finally {
      await client.close();
    }
  });
}

/** Sends texts or messages one by one. */
export async function send(client, queue, ...messages) {
  const sender = client.createSender(queue);
  for (const message of messages) {
    await sender.sendMessages(typeof message === "string" ? { body: message } : message);
  }
  await sender.close();
}

/** Exactly one message, which must be there. */
export async function receiveOne(receiver) {
  const messages = await receiver.receiveMessages(1, { maxWaitTimeInMs: PATIENCE });
  assert.equal(messages.length, 1, "no message came");
  return messages[0];
}

/** The bodies of messages. */
export function bodies(messages) {
  return messages.map((message) => message.body);
}

/** Everything that is in the queue. A plain peek would go on where the last one of this client ended. */
export function peekAll(receiver) {
  return receiver.peekMessages(100, { fromSequenceNumber: Long.ONE });
}

/** Bodies of everything that is in the queue; it is removed. */
export async function rest(client, queue, options = {}) {
  const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete", ...options });
  // Counting first spares waiting for what does not come.
  const left = (await peekAll(receiver)).length;
  const got = [];
  while (got.length < left) {
    const messages = await receiver.receiveMessages(left - got.length, { maxWaitTimeInMs: PATIENCE });
    assert.ok(messages.length > 0, "what was peeked cannot be received");
    got.push(...bodies(messages));
  }
  await receiver.close();
  return got;
}

/** Nothing can be received now. */
export async function assertEmpty(receiver) {
  assert.deepEqual(bodies(await receiver.receiveMessages(1, { maxWaitTimeInMs: 1000 })), []);
}

/** Fails if the work takes longer. */
export async function atMost(milliseconds, work) {
  const begun = performance.now();
  const result = await work();
  const taken = performance.now() - begun;
  assert.ok(taken <= milliseconds, `took ${taken.toFixed()} ms instead of at most ${milliseconds} ms`);
  return result;
}

/** Waits. Locks lapse by the service's clock, so there is nothing to poll for. */
export function sleep(milliseconds) {
  return new Promise((done) => setTimeout(done, Math.max(0, milliseconds)));
}

/** Takes a session from whoever holds it, who is not told. */
export async function freeSession(queue, session) {
  const [, host] = /Endpoint=sb:\/\/([^;/]+)/.exec(setting("BUS"));
  const query = new URLSearchParams({ address: queue, session });
  const answer = await fetch(`http://${host}/$emulator/free-session?${query}`, { method: "POST" });
  assert.equal(answer.status, 204);
}

/** Opens a door of the local Graph for tests, such as /__users. */
export function door(method, path, body) {
  return opened("GRAPH_HTTP", method, path, body);
}

/** Opens a door of the local Dataverse, such as /__faults. */
export function dataverseDoor(method, path, body) {
  return opened("DATAVERSE_HTTP", method, path, body);
}

async function opened(service, method, path, body) {
  const answer = await fetch(setting(service) + path, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  const text = await answer.text();
  return text ? JSON.parse(text) : undefined;
}
