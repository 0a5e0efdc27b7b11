"""The ways to reach the service, and to be turned away."""

import pytest
from azure.identity import ClientSecretCredential
from azure.servicebus import ServiceBusClient, TransportType
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusConnectionError

from entra import secret_credential
from support import PATIENCE, at_most, connect, receive_one, rest, send, setting

# The official emulator's rule; its key is this text itself.
CLOUD_STYLE = "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE"


def exchange(client, queue):
    """Sends, receives and completes, which uses the token, data and settlement paths."""
    send(client, queue, "over", "there")
    with client.get_queue_receiver(queue) as receiver:
        for text in ("over", "there"):
            got = receive_one(receiver)
            assert str(got) == text
            receiver.renew_message_lock(got)
            receiver.complete_message(got)


def test_messages_travel_over_tls(queue):
    address = {"custom_endpoint_address": setting("BUS_TLS"), "connection_verify": setting("CA")}
    with connect(CLOUD_STYLE, **address) as client:
        exchange(client, queue)


def test_messages_travel_over_websockets(queue):
    # This SDK takes the path from the custom address; without one it adds the same path by itself.
    address = {"custom_endpoint_address": setting("BUS_WEBSOCKET"), "connection_verify": setting("CA")}
    with connect(CLOUD_STYLE, transport_type=TransportType.AmqpOverWebsocket, **address) as client:
        exchange(client, queue)


def with_credential(credential):
    return ServiceBusClient(
        "localhost",
        credential,
        retry_total=0,
        custom_endpoint_address=setting("BUS_TLS"),
        connection_verify=setting("CA"),
    )


def test_an_entra_token_opens_the_queue(queue):
    with with_credential(secret_credential()) as client:
        exchange(client, queue)


class Foreign:
    """A credential whose tokens nobody here has issued."""

    def __init__(self, credential: ClientSecretCredential):
        self.credential = credential

    def get_token(self, *scopes, **options):
        token = self.credential.get_token(*scopes, **options)
        return token._replace(token="eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl")


def test_a_foreign_entra_token_is_refused(queue):
    with with_credential(Foreign(secret_credential())) as client:
        # At a custom address this SDK calls every refusal a connection error; what lies below tells more.
        with at_most(PATIENCE), pytest.raises(ServiceBusConnectionError) as caught:
            send(client, queue, "not allowed")
    assert type(caught.value.inner_exception).__name__ == "TokenAuthFailure"


def test_a_wrong_key_is_refused(client, queue):
    with connect(setting("BUS").replace("SAS_KEY_VALUE", "WRONG_KEY")) as stranger:
        with at_most(PATIENCE), pytest.raises(ServiceBusAuthenticationError):
            send(stranger, queue, "not allowed")
    assert rest(client, queue) == []
