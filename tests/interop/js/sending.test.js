// What is sent arrives, whole and as it was.

import assert from "node:assert/strict";
import { PATIENCE, assertEmpty, atMost, bodies, connect, judge, receiveOne, rest, send, suite } from "./support.js";

suite("sending", () => {
  judge("a message arrives as it was sent", async (client, queue) => {
    const sent = {
      body: { a: 1 },
      messageId: "change-1",
      contentType: "application/json",
      correlationId: "correlation",
      subject: "contact",
      to: "somewhere",
      replyTo: "elsewhere",
      applicationProperties: { text: "ü", number: 7, yes: true },
    };
    await send(client, queue, sent);
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    for (const [name, value] of Object.entries(sent)) assert.deepEqual(got[name], value, name);
    assert.equal(got.deliveryCount, 0);
    assert.ok(got.sequenceNumber.greaterThan(0));
    assert.match(got.lockToken, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const locked = got.lockedUntilUtc - got.enqueuedTimeUtc;
    assert.ok(locked >= 60_000 && locked <= 60_000 + PATIENCE, `locked for ${locked} ms`);
    await receiver.completeMessage(got);
  });

  judge("a message without an id is given one", async (client, queue) => {
    await send(client, queue, { body: "anonymous" });
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    assert.ok(got.messageId);
    await receiver.completeMessage(got);
  });

  judge("a batch arrives message by message", async (client, queue) => {
    const wanted = Array.from({ length: 20 }, (_, number) => `batch ${number}`);
    const sender = client.createSender(queue);
    const batch = await sender.createMessageBatch();
    for (const body of wanted) assert.ok(batch.tryAddMessage({ body }));
    await sender.sendMessages(batch);
    assert.deepEqual(await rest(client, queue), wanted);
  });

  judge("a list of messages is sent at once", async (client, queue) => {
    const wanted = Array.from({ length: 20 }, (_, number) => `list ${number}`);
    await client.createSender(queue).sendMessages(wanted.map((body) => ({ body })));
    assert.deepEqual(await rest(client, queue), wanted);
  });

  judge("a message below the size limit arrives whole", async (client, queue) => {
    const body = Array.from({ length: 31_250 }, (_, number) => String(number).padStart(8)).join("");
    await send(client, queue, body);
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    assert.ok(got.body === body, "the body has changed");
    await receiver.completeMessage(got);
  });

  judge("a message over the size limit is refused", async (client, queue) => {
    const sender = client.createSender(queue);
    const large = { body: "x".repeat(300_000) };
    await atMost(PATIENCE, () => assert.rejects(sender.sendMessages(large), { code: "MessageSizeExceeded" }));
    await sender.sendMessages({ body: "small" });
    assert.deepEqual(await rest(client, queue), ["small"]);
  });

  judge("a duplicate within the window is dropped", async (client, queue) => {
    const message = (messageId, body) => ({ messageId, body });
    await send(client, queue, message("same", "first"), message("same", "again"), message("another", "other"));
    assert.deepEqual(await rest(client, queue), ["first", "other"]);
  });

  const missing = { code: "MessagingEntityNotFound" };

  judge("an unknown queue is reported to the sender", async (client, queue) => {
    await atMost(PATIENCE, () => assert.rejects(send(client, `${queue}/missing`, "nobody reads this"), missing));
  });

  judge("an unknown queue is reported to the receiver", async (client, queue) => {
    const receiver = client.createReceiver(`${queue}/missing`);
    await atMost(PATIENCE, () => assert.rejects(receiver.receiveMessages(1, { maxWaitTimeInMs: 1000 }), missing));
  });

  judge("receive and delete needs no settlement", async (client, queue) => {
    await send(client, queue, "one", "two");
    const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
    const got = await receiveOne(receiver);
    assert.equal(got.body, "one");
    await assert.rejects(receiver.completeMessage(got));
    await receiver.close();
    const other = connect();
    assert.deepEqual(await rest(other, queue), ["two"]);
    await other.close();
    assert.deepEqual(await rest(client, queue), []);
  });

  judge("receiving from an empty queue returns in time", async (client, queue) => {
    const receiver = client.createReceiver(queue);
    await atMost(PATIENCE, () => assertEmpty(receiver));
    await send(client, queue, "late");
    const got = await receiveOne(receiver);
    assert.equal(got.body, "late");
    await receiver.completeMessage(got);
  });

  judge("thirty messages are streamed in order", async (client, queue) => {
    const wanted = Array.from({ length: 30 }, (_, number) => String(number));
    await client.createSender(queue).sendMessages(wanted.map((body) => ({ body })));
    const receiver = client.createReceiver(queue);
    const got = [];
    const stream = receiver.getMessageIterator({ maxWaitTimeInMs: PATIENCE });
    while (got.length < 15) {
      const { value } = await stream.next();
      assert.ok(value, "the stream ended early");
      got.push(value);
      // One after another: settlements of one tick would be merged by the AMQP library under this SDK.
      await receiver.completeMessage(value);
    }
    await receiver.close();
    const pushed = client.createReceiver(queue);
    await new Promise((done, failed) => {
      pushed.subscribe({
        processMessage: async (message) => {
          got.push(message);
          if (got.length === wanted.length) setImmediate(done);
        },
        processError: async ({ error }) => failed(error),
      });
    });
    // Closing waits for the settlements that the SDK itself has begun.
    await pushed.close();
    assert.deepEqual(bodies(got), wanted);
    assert.deepEqual(await rest(client, queue), []);
  });
});
