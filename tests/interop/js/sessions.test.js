// Sessions: who holds one, for how long, and in which order its messages come.

import assert from "node:assert/strict";
import {
  PATIENCE,
  assertEmpty,
  atMost,
  connect,
  freeSession,
  impatient,
  judge,
  receiveOne,
  send,
  setting,
  sleep,
  suite,
} from "./support.js";

// The SDK would renew by itself.
const BY_HAND = { maxAutoLockRenewalDurationInMs: 0 };
const LOST = { code: "SessionLockLost" };

/** A second client, with a connection of its own. */
async function withAnother(work) {
  const other = connect();
  try {
    await work(other);
  } finally {
    await other.close();
  }
}

function inSession(sessionId, body) {
  return { sessionId, body };
}

suite("sessions", () => {
  judge("the next free session is given", async (client, queue) => {
    await send(client, queue, inSession("A", "1"), inSession("B", "2"));
    const first = await client.acceptNextSession(queue);
    const second = await client.acceptNextSession(queue);
    for (const [receiver, session] of [[first, "A"], [second, "B"]]) {
      assert.equal(receiver.sessionId, session);
      const got = await receiveOne(receiver);
      assert.equal(got.sessionId, session);
      await receiver.completeMessage(got);
      await receiver.close();
    }
  });

  judge("a session is accepted by name", async (client, queue) => {
    await send(client, queue, inSession("A", "not this"), inSession("B", "this"));
    const receiver = await client.acceptSession(queue, "B");
    assert.equal(receiver.sessionId, "B");
    const got = await receiveOne(receiver);
    assert.equal(got.body, "this");
    await receiver.completeMessage(got);
    await assertEmpty(receiver);
  });

  judge("messages of a session come in order", async (client, queue) => {
    const wanted = Array.from({ length: 12 }, (_, number) => String(number));
    await send(client, queue, ...wanted.map((text) => inSession(Number(text) % 2 ? "A" : "B", text)));
    const receiver = await client.acceptSession(queue, "A");
    const odd = wanted.filter((text) => Number(text) % 2);
    const got = [];
    while (got.length < odd.length) {
      const message = await receiveOne(receiver);
      got.push(message.body);
      await receiver.completeMessage(message);
    }
    assert.deepEqual(got, odd);
    await assertEmpty(receiver);
  });

  judge("the state of a session is kept", async (client, queue) => {
    await send(client, queue, inSession("A", "x"));
    const first = await client.acceptSession(queue, "A");
    assert.equal(await first.getSessionState(), null);
    await first.setSessionState({ done: "half" });
    await first.close();
    const second = await client.acceptSession(queue, "A");
    assert.deepEqual(await second.getSessionState(), { done: "half" });
    await second.setSessionState(null);
    assert.equal(await second.getSessionState(), null);
    await second.completeMessage(await receiveOne(second));
  });

  judge("the lock of a session is renewed", async (client, queue) => {
    await send(client, queue, inSession("A", "x"));
    const receiver = await client.acceptSession(queue, "A", { maxAutoLockRenewalDurationInMs: 0 });
    const first = receiver.sessionLockedUntilUtc;
    const locked = first - Date.now();
    assert.ok(locked > 30_000 && locked < 61_000, `locked for ${locked} ms`);
    await sleep(1000);
    const gained = (await receiver.renewSessionLock()) - first;
    assert.ok(gained > 500 && gained < 10_000, `gained ${gained} ms`);
    await receiver.completeMessage(await receiveOne(receiver));
  });

  judge("a held session cannot be locked", async (client, queue) => {
    await send(client, queue, inSession("A", "x"));
    const receiver = await client.acceptSession(queue, "A");
    const held = { code: "SessionCannotBeLocked" };
    await atMost(PATIENCE, () => assert.rejects(client.acceptSession(queue, "A"), held));
    await receiver.completeMessage(await receiveOne(receiver));
  });

  judge("closing frees a session at once", async (client, queue) => {
    for (let round = 0; round < 3; round += 1) {
      const receiver = await client.acceptSession(queue, "A", BY_HAND);
      await receiver.renewSessionLock();
      await receiver.close();
    }
    const other = connect();
    await other.acceptSession(queue, "A", BY_HAND);
    await other.close();
    await (await client.acceptSession(queue, "A", BY_HAND)).renewSessionLock();
  });

  judge("a session has its state without any message", async (client, queue) => {
    const first = await client.acceptSession(queue, "A", BY_HAND);
    const locked = first.sessionLockedUntilUtc - Date.now();
    assert.ok(locked > 30_000 && locked < 61_000, `locked for ${locked} ms`);
    await first.setSessionState("term 1");
    await first.close();
    await withAnother(async (other) => {
      const second = await other.acceptSession(queue, "A", BY_HAND);
      assert.equal(await second.getSessionState(), "term 1");
    });
  });

  judge("who lost a session early cannot renew it nor see its state", async (client, queue) => {
    const first = await client.acceptSession(queue, "A", BY_HAND);
    await first.setSessionState("of the first");
    await freeSession(queue, "A");
    await withAnother(async (other) => {
      const second = await other.acceptSession(queue, "A", BY_HAND);
      assert.equal(await second.getSessionState(), "of the first");
      const requests = [
        () => first.renewSessionLock(),
        () => first.getSessionState(),
        () => first.setSessionState("too late"),
      ];
      for (const request of requests) {
        await atMost(PATIENCE, () => assert.rejects(request(), LOST));
      }
      assert.equal(await second.getSessionState(), "of the first");
      await second.renewSessionLock();
    });
  });

  judge("a lapsed session goes to the next one with its state", async (client, queue) => {
    const first = await client.acceptSession(queue, "A", BY_HAND);
    await first.setSessionState("half way");
    await sleep(first.sessionLockedUntilUtc - Date.now() + 500);
    await withAnother(async (other) => {
      const second = await other.acceptSession(queue, "A", BY_HAND);
      const until = second.sessionLockedUntilUtc;
      await atMost(PATIENCE, () => assert.rejects(first.renewSessionLock(), LOST));
      assert.equal(await second.getSessionState(), "half way");
      assert.ok((await second.renewSessionLock()) > until);
    });
  });

  judge("waiting for a free session ends in time", async (_, queue) => {
    const hasty = connect(setting("BUS"), impatient(3000));
    await atMost(PATIENCE, () => assert.rejects(hasty.acceptNextSession(queue), { code: "ServiceTimeout" }));
    await hasty.close();
  });

  judge("a plain receiver on a session queue is refused", async (client, queue) => {
    const plain = client.createReceiver(queue);
    const refused = plain.receiveMessages(1, { maxWaitTimeInMs: 1000 });
    await atMost(PATIENCE, () => assert.rejects(refused, /requires sessions/));
  });

  judge("a message without a session is refused by a session queue", async (client, queue) => {
    await atMost(PATIENCE, () => assert.rejects(send(client, queue, "homeless")));
  });
});
