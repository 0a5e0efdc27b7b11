"""Where the services are, and the few things that most tests do."""

import json
import os
import re
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode

# Longer than anything that works takes, short enough to wait for what does not.
PATIENCE = float(os.environ.get("INTEROP_PATIENCE", "15"))


def setting(name):
    """What run.py says about the services; see README.md."""
    return os.environ["INTEROP_" + name]


def connect(connection_string=None, **options):
    """A client that reports the first failure instead of trying again."""
    connection_string = connection_string or setting("BUS")
    return ServiceBusClient.from_connection_string(connection_string, retry_total=0, **options)


def send(client, queue, *messages):
    """Sends texts or messages one by one."""
    with client.get_queue_sender(queue) as sender:
        for message in messages:
            sender.send_messages(ServiceBusMessage(message) if isinstance(message, str) else message)


def receive_one(receiver):
    """Exactly one message, which must be there."""
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=PATIENCE)
    assert len(messages) == 1, "no message came"
    return messages[0]


def texts(messages):
    """The bodies of messages."""
    return [str(message) for message in messages]


def rest(client, queue, **options):
    """Bodies of everything that is in the queue; it is removed."""
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver(queue, receive_mode=mode, **options) as receiver:
        # Counting first spares waiting for what does not come.
        left = len(receiver.peek_messages(max_message_count=100, sequence_number=1))
        got = []
        while len(got) < left:
            messages = receiver.receive_messages(max_message_count=left - len(got), max_wait_time=PATIENCE)
            assert messages, "what was peeked cannot be received"
            got += texts(messages)
        return got


@contextmanager
def at_most(seconds):
    """Fails if the block takes longer."""
    begun = time.monotonic()
    yield
    taken = time.monotonic() - begun
    assert taken <= seconds, f"took {taken:.1f} s instead of at most {seconds} s"


def wait_until(condition, what):
    """Polls until the condition gives something true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


def free_session(queue, session):
    """Takes a session from whoever holds it, who is not told."""
    [host] = re.findall(r"Endpoint=sb://([^;/]+)", setting("BUS"))
    query = urllib.parse.urlencode({"address": queue, "session": session})
    request = urllib.request.Request(f"http://{host}/$emulator/free-session?{query}", method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.status == 204


def door(method, path, body=None):
    """Opens a door of the local Graph for tests, such as /__users."""
    return _opened("GRAPH_HTTP", method, path, body)


def dataverse_door(method, path, body=None):
    """Opens a door of the local Dataverse, such as /__faults."""
    return _opened("DATAVERSE_HTTP", method, path, body)


def _opened(service, method, path, body):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(setting(service) + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read()
    return json.loads(text) if text else None
