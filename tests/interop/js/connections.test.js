// The ways to reach the service, and to be turned away.

import assert from "node:assert/strict";
import { ServiceBusClient } from "@azure/service-bus";
import WebSocket from "ws";
import { secretCredential } from "./entra.js";
import { PATIENCE, atMost, connect, impatient, judge, receiveOne, rest, send, setting, suite } from "./support.js";

// The official emulator's rule; its key is this text itself.
const CLOUD_STYLE =
  "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE";

/** Sends, receives and completes, which uses the token, data, management and settlement paths. */
async function exchange(client, queue) {
  try {
    await send(client, queue, "over", "there");
    const receiver = client.createReceiver(queue);
    for (const text of ["over", "there"]) {
      const got = await receiveOne(receiver);
      assert.equal(got.body, text);
      await receiver.renewMessageLock(got);
      await receiver.completeMessage(got);
    }
  } finally {
    await client.close();
  }
}

async function assertUnauthorized(client, queue) {
  try {
    const refused = { code: "UnauthorizedAccess" };
    await atMost(PATIENCE, () => assert.rejects(send(client, queue, "not allowed"), refused));
  } finally {
    await client.close();
  }
}

// NODE_EXTRA_CA_CERTS vouches for the local certificate.
const tls = () => ({ ...impatient(), customEndpointAddress: setting("BUS_TLS") });

suite("connections", () => {
  judge("messages travel over tls", async (_, queue) => {
    await exchange(connect(CLOUD_STYLE, tls()), queue);
  });

  judge("messages travel over websockets", async (_, queue) => {
    const webSocketOptions = { webSocket: WebSocket };
    const address = { customEndpointAddress: setting("BUS_WEBSOCKET") };
    await exchange(connect(CLOUD_STYLE, { ...impatient(), ...address, webSocketOptions }), queue);
  });

  judge("an entra token opens the queue", async (_, queue) => {
    await exchange(new ServiceBusClient("localhost", secretCredential(), tls()), queue);
  });

  judge("a foreign entra token is refused", async (_, queue) => {
    const foreign = {
      getToken: async () => ({
        token: "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl",
        expiresOnTimestamp: Date.now() + 3_600_000,
      }),
    };
    await assertUnauthorized(new ServiceBusClient("localhost", foreign, tls()), queue);
  });

  judge("a wrong key is refused", async (client, queue) => {
    await assertUnauthorized(connect(setting("BUS").replace("SAS_KEY_VALUE", "WRONG_KEY")), queue);
    assert.deepEqual(await rest(client, queue), []);
  });
});
