// Each way to settle a message, and what becomes of it.

import assert from "node:assert/strict";
import { PATIENCE, assertEmpty, atMost, connect, judge, peekAll, receiveOne, rest, send, suite } from "./support.js";

const DEAD_LETTERS = { subQueueType: "deadLetter" };

suite("settling", () => {
  judge("a completed message is gone", async (client, queue) => {
    await send(client, queue, "done");
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    await atMost(PATIENCE, () => receiver.completeMessage(got));
    await assertEmpty(receiver);
    assert.deepEqual(await peekAll(receiver), []);
  });

  judge("a settled message is not settled again", async (client, queue) => {
    await send(client, queue, "once");
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    await receiver.completeMessage(got);
    await assert.rejects(receiver.abandonMessage(got));
    assert.deepEqual(await rest(client, queue), []);
  });

  judge("an abandoned message comes again with a higher count", async (client, queue) => {
    await send(client, queue, "again");
    const receiver = client.createReceiver(queue);
    for (let count = 0; count < 3; count += 1) {
      const [got] = await receiver.receiveMessages(5, { maxWaitTimeInMs: PATIENCE });
      assert.equal(got?.deliveryCount, count);
      await receiver.abandonMessage(got);
    }
    const got = await receiveOne(receiver);
    assert.equal(got.deliveryCount, 3);
    await receiver.completeMessage(got);
  });

  judge("properties given on abandoning are kept", async (client, queue) => {
    await send(client, queue, { body: "again", applicationProperties: { kept: "yes", changed: 1 } });
    const receiver = client.createReceiver(queue);
    await receiver.abandonMessage(await receiveOne(receiver), { changed: 2, added: "new" });
    const got = await receiveOne(receiver);
    assert.deepEqual(got.applicationProperties, { kept: "yes", changed: 2, added: "new" });
    await receiver.completeMessage(got);
  });

  judge("a dead lettered message tells its reason", async (client, queue) => {
    await send(client, queue, { body: "bad", messageId: "bad-1", applicationProperties: { kept: 1 } });
    const receiver = client.createReceiver(queue);
    const reason = { deadLetterReason: "BadThing", deadLetterErrorDescription: "it was bad", added: "new" };
    const bad = await receiveOne(receiver);
    await atMost(PATIENCE, () => receiver.deadLetterMessage(bad, reason));
    await assertEmpty(receiver);
    const morgue = client.createReceiver(queue, DEAD_LETTERS);
    const got = await receiveOne(morgue);
    assert.equal(got.deadLetterReason, "BadThing");
    assert.equal(got.deadLetterErrorDescription, "it was bad");
    assert.equal(got.messageId, "bad-1");
    assert.equal(got.applicationProperties.kept, 1);
    assert.equal(got.applicationProperties.added, "new");
    await morgue.completeMessage(got);
    assert.deepEqual(await rest(client, queue, DEAD_LETTERS), []);
  });

  judge("a deferred message is received by its number", async (client, queue) => {
    await send(client, queue, "later");
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    const number = got.sequenceNumber;
    await receiver.deferMessage(got, { added: "new" });
    await assertEmpty(receiver);
    const [deferred] = await receiver.receiveDeferredMessages(number);
    assert.equal(deferred.body, "later");
    assert.equal(deferred.state, "deferred");
    assert.equal(deferred.applicationProperties.added, "new");
    await receiver.completeMessage(deferred);
    await assert.rejects(receiver.receiveDeferredMessages(number), { code: "MessageNotFound" });
  });

  judge("a message failing too often moves to the dead letters", async (client, queue) => {
    await send(client, queue, "hopeless");
    const receiver = client.createReceiver(queue);
    for (let count = 0; count < 3; count += 1) {
      const got = await receiveOne(receiver);
      assert.equal(got.deliveryCount, count);
      await receiver.abandonMessage(got);
    }
    await assertEmpty(receiver);
    const morgue = client.createReceiver(queue, DEAD_LETTERS);
    const got = await receiveOne(morgue);
    assert.equal(got.deadLetterReason, "MaxDeliveryCountExceeded");
    assert.match(got.deadLetterErrorDescription, /3 delivery attempts/);
    await morgue.completeMessage(got);
  });

  judge("closing gives back what was not settled", async (client, queue) => {
    await send(client, queue, "first", "second", "third");
    const receiver = client.createReceiver(queue);
    await receiver.completeMessage(await receiveOne(receiver));
    await receiver.close();
    const other = connect();
    const second = other.createReceiver(queue);
    for (const text of ["second", "third"]) {
      const got = await receiveOne(second);
      assert.deepEqual([got.body, got.deliveryCount], [text, 0]);
      await second.completeMessage(got);
    }
    await other.close();
  });
});
