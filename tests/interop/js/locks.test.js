// Locks: how long they last and what happens after.

import assert from "node:assert/strict";
import { assertEmpty, judge, receiveOne, send, sleep, suite } from "./support.js";

// The SDK would renew by itself.
const BY_HAND = { maxAutoLockRenewalDurationInMs: 0 };
const LOST = { code: "MessageLockLost" };

function sleepPast(moment) {
  return sleep(moment - Date.now() + 500);
}

suite("locks", () => {
  judge("a renewed lock lasts longer", async (client, queue) => {
    await send(client, queue, "slow work");
    const receiver = client.createReceiver(queue, BY_HAND);
    const got = await receiveOne(receiver);
    const first = got.lockedUntilUtc;
    await sleep(1000);
    const renewed = await receiver.renewMessageLock(got);
    const gained = renewed - first;
    assert.ok(gained > 500 && gained < 8000, `gained ${gained} ms`);
    await sleepPast(first);
    await receiver.completeMessage(got);
  });

  judge("completing after the lock expired is refused", async (client, queue) => {
    await send(client, queue, "too slow");
    const receiver = client.createReceiver(queue, BY_HAND);
    const got = await receiveOne(receiver);
    await sleepPast(got.lockedUntilUtc);
    await assert.rejects(receiver.completeMessage(got), LOST);
    const again = await receiveOne(receiver);
    assert.deepEqual([again.body, again.deliveryCount], ["too slow", 1]);
    await receiver.completeMessage(again);
  });

  judge("renewing after the lock expired is refused", async (client, queue) => {
    await send(client, queue, "too slow");
    const receiver = client.createReceiver(queue, BY_HAND);
    const got = await receiveOne(receiver);
    await sleepPast(got.lockedUntilUtc);
    await assert.rejects(receiver.renewMessageLock(got), LOST);
    const again = await receiveOne(receiver);
    assert.equal(again.deliveryCount, 1);
    await receiver.completeMessage(again);
  });

  judge("an expired message moves to the dead letters", async (client, queue) => {
    await send(client, queue, { body: "stale", timeToLive: 1000 });
    const morgue = client.createReceiver(queue, { subQueueType: "deadLetter" });
    const got = await receiveOne(morgue);
    assert.equal(got.deadLetterReason, "TTLExpiredException");
    await morgue.completeMessage(got);
    await assertEmpty(client.createReceiver(queue));
  });
});
