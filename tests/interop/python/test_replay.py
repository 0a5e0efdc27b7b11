"""The worker's binary puts dead letters back; Microsoft's client says what is in each queue before and after."""

import json
import subprocess

from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue

from support import PATIENCE, send, setting
from test_worker import SETTINGS

QUEUE = "the-replay"
REASONS = ("UserNotFound", "GraphRefused", "ValueInvalid")


def bury(client, count):
    """Sends messages and dead-letters each with one of the reasons in turn, as a worker would."""
    send(client, QUEUE, *(ServiceBusMessage(f"letter {n}", message_id=f"m-{n}", subject="s") for n in range(count)))
    with client.get_queue_receiver(QUEUE) as receiver:
        done = 0
        while done < count:
            for message in receiver.receive_messages(max_message_count=count - done, max_wait_time=PATIENCE):
                reason = REASONS[int(message.message_id[2:]) % len(REASONS)]
                receiver.dead_letter_message(message, reason=reason, error_description="in a test")
                done += 1


def contents(client, **options):
    """Everything in a queue by peek: body, reason and delivery count."""
    with client.get_queue_receiver(QUEUE, **options) as receiver:
        found = receiver.peek_messages(max_message_count=200, sequence_number=1)
        return [(str(message), message.dead_letter_reason, message.delivery_count) for message in found]


def contactsync(folder, *arguments):
    """Runs the binary; gives the events that it prints."""
    names = ("bus", "graph", "ca", "tenant", "client_id", "client_secret")
    settings = SETTINGS.format(queue=QUEUE, **{name: setting(name.upper()) for name in names})
    (folder / "contactsync.toml").write_text(settings)
    command = [setting("WORKER"), *arguments, "--json", "--config", str(folder / "contactsync.toml")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=4 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_what_is_put_back_and_what_stays_is_what_the_sdk_sees(client, tmp_path):
    dead = {"sub_queue": ServiceBusSubQueue.DEAD_LETTER}
    bury(client, 60)
    before = contents(client, **dead)
    assert (len(before), contents(client)) == (60, [])
    counted = json.loads(contactsync(tmp_path, "dead-letters", "list", "--by", "reason"))
    assert {group["reason"]: group["count"] for group in counted["groups"]} == dict.fromkeys(REASONS, 20)
    arguments = ("replay", "--unguarded", "--reason", "GraphRefused", "--limit", "15", "--rate", "500")
    events = [json.loads(line) for line in contactsync(tmp_path, *arguments).splitlines()]
    chosen = [letter for letter in before if letter[1] == "GraphRefused"][:15]
    assert contents(client, **dead) == [letter for letter in before if letter not in chosen]
    back = contents(client)
    assert sorted(back) == sorted((body, None, 0) for body, _, _ in chosen)
    # And it can be received and completed like any other message, under the id that the audit tells.
    ids = {event["messageId"] for event in events if event["event"] == "replayed"}
    with client.get_queue_receiver(QUEUE) as receiver:
        taken = 0
        while taken < len(back):
            for message in receiver.receive_messages(max_message_count=len(back), max_wait_time=PATIENCE):
                assert message.message_id in ids
                assert message.subject == "s"
                assert b"DeadLetterReason" not in (message.application_properties or {})
                receiver.complete_message(message)
                taken += 1
    assert contents(client) == []
