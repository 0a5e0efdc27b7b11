"""Microsoft's client sends as Dataverse would, the worker's binary applies it, the client reads what it refused."""

import json
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue

from support import PATIENCE, door, send, setting, wait_until

QUEUE = "the-worker"
CAPTURED = Path(__file__).parents[2] / "fixtures/contexts/contact-update-portal-identity.json"

SETTINGS = """
[service_bus]
connection_string = "{bus}"
queue = "{queue}"
[graph]
root = "{graph}"
[connection]
ca_file = "{ca}"
[identity]
authority = "{graph}"
tenant = "{tenant}"
client_id = "{client_id}"
client_secret = "{client_secret}"
[http]
listen = "127.0.0.1:0"
[retry]
not_found_grace = "300ms"
first_delay = "20ms"
longest_delay = "100ms"
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A worker on the queue, stopped in good form at the end."""
    folder = tmp_path_factory.mktemp("worker")
    names = ("bus", "graph", "ca", "tenant", "client_id", "client_secret")
    settings = SETTINGS.format(queue=QUEUE, **{name: setting(name.upper()) for name in names})
    (folder / "contactsync.toml").write_text(settings)
    with open(folder / "log", "wb") as log:
        command = [setting("WORKER"), "run", "--config", str(folder / "contactsync.toml")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    yield process
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "no end"
    assert code == 0, (folder / "log").read_text()


@pytest.fixture
def user():
    """The id of a fresh user."""
    number = str(uuid.uuid4())
    door("POST", "/__users", {"id": number, "properties": {"displayName": "Portal user", "givenName": "Old"}})
    return number


def change(link, **columns):
    """A captured change of a contact with another link, other columns and an identity of its own."""
    context = json.loads(CAPTURED.read_text())
    columns = {"adx_identity_username": link, "contactid": str(uuid.uuid4()), **columns}
    target = context["InputParameters"][0]["value"]
    target["Id"] = context["PrimaryEntityId"] = columns["contactid"]
    target["Attributes"] = [{"key": key, "value": value} for key, value in columns.items()]
    context["OperationId"] = str(uuid.uuid4())
    return ServiceBusMessage(json.dumps(context), content_type="application/json", message_id=context["OperationId"])


def dead_letter(client, body):
    """The dead letter with this body, which is removed. Others are left."""

    def look():
        for message in receiver.receive_messages(max_message_count=1, max_wait_time=2):
            if str(message) == body:
                receiver.complete_message(message)
                return message
            receiver.abandon_message(message)
        return None

    with client.get_queue_receiver(QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        return wait_until(look, "the message is dead-lettered")


def test_a_change_sent_by_the_sdk_reaches_its_user(client, worker, user):
    send(client, QUEUE, change(user, firstname="Ada", lastname="Lovelace", emailaddress1=f"{user[:8]}@new.example"))
    wait_until(lambda: door("GET", "/__users/" + user)["properties"].get("surname"), "the user has a surname")
    properties = door("GET", "/__users/" + user)["properties"]
    assert (properties["givenName"], properties["surname"]) == ("Ada", "Lovelace")
    assert properties["mail"] == f"{user[:8]}@new.example"
    with client.get_queue_receiver(QUEUE) as receiver:
        wait_until(lambda: not receiver.peek_messages(sequence_number=1), "the message is completed")
    assert worker.poll() is None


def test_a_body_nobody_understands_is_dead_lettered_with_its_reason(client, worker):
    body = "not a context " + str(uuid.uuid4())
    send(client, QUEUE, body)
    got = dead_letter(client, body)
    assert got.dead_letter_reason == "BodyUndecodable"
    assert got.dead_letter_error_description
    assert got.application_properties[b"DeadLetterReason"] == b"BodyUndecodable"
    assert worker.poll() is None


def test_a_link_that_is_no_user_id_is_dead_lettered_with_its_reason(client, worker):
    message = change("ada@portal.example", firstname="Ada")
    body = str(message)
    send(client, QUEUE, message)
    got = dead_letter(client, body)
    assert got.dead_letter_reason == "UserLinkInvalid"
    # The text is for operators and must not hold the value.
    assert got.dead_letter_error_description and "ada@portal" not in got.dead_letter_error_description
    assert worker.poll() is None


def test_changes_of_one_user_sent_as_a_batch_end_in_the_newest_state(client, worker, user):
    contact = str(uuid.uuid4())
    batch = [
        change(user, contactid=contact, firstname=f"Name {number}", versionnumber=1000 + number) for number in range(20)
    ]
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(batch)
    with client.get_queue_receiver(QUEUE) as receiver:
        wait_until(lambda: not receiver.peek_messages(sequence_number=1), "the messages are completed")
    assert door("GET", "/__users/" + user)["properties"]["givenName"] == "Name 19"
    assert worker.poll() is None
