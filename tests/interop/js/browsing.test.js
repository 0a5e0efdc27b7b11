// Looking without taking, and sending for later.

import assert from "node:assert/strict";
import { PATIENCE, atMost, bodies, judge, receiveOne, rest, send, suite } from "./support.js";

function soon(seconds) {
  return new Date(Date.now() + 1000 * seconds);
}

suite("browsing", () => {
  judge("peeking locks nothing", async (client, queue) => {
    await send(client, queue, "one", "two", "three");
    const peeked = await client.createReceiver(queue).peekMessages(10);
    assert.deepEqual(bodies(peeked), ["one", "two", "three"]);
    for (const [index, message] of peeked.entries()) {
      assert.equal(message.state, "active");
      assert.ok(index === 0 || message.sequenceNumber.greaterThan(peeked[index - 1].sequenceNumber));
    }
    assert.deepEqual(await rest(client, queue), ["one", "two", "three"]);
  });

  judge("peeking pages through the queue", async (client, queue) => {
    const wanted = Array.from({ length: 10 }, (_, number) => String(number));
    await send(client, queue, ...wanted);
    const receiver = client.createReceiver(queue);
    const seen = [];
    for (;;) {
      const page = await receiver.peekMessages(4);
      if (page.length === 0) break;
      seen.push(...bodies(page));
    }
    assert.deepEqual(seen, wanted);
  });

  judge("a scheduled message appears when its time comes", async (client, queue) => {
    const due = soon(3);
    const sender = client.createSender(queue);
    await sender.scheduleMessages({ body: "soon" }, due);
    const [fromSequenceNumber] = await sender.scheduleMessages({ body: "much later" }, soon(600));
    const receiver = client.createReceiver(queue);
    const [peeked] = await receiver.peekMessages(1, { fromSequenceNumber });
    assert.deepEqual([peeked.body, peeked.state], ["much later", "scheduled"]);
    const got = await atMost(3000 + PATIENCE, () => receiveOne(receiver));
    assert.equal(got.body, "soon");
    assert.ok(Date.now() >= due.getTime() - 100);
    await receiver.completeMessage(got);
  });

  judge("a cancelled message never appears and is not cancelled twice", async (client, queue) => {
    const sender = client.createSender(queue);
    const numbers = await sender.scheduleMessages([{ body: "a" }, { body: "b" }], soon(600));
    assert.equal(numbers.length, 2);
    await sender.cancelScheduledMessages(numbers);
    await assert.rejects(sender.cancelScheduledMessages(numbers[0]), { code: "MessageNotFound" });
    // Scheduled messages would show here as well.
    assert.deepEqual(await rest(client, queue), []);
  });
});
