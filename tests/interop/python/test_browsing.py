"""Looking without taking, and sending for later."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageNotFoundError

from support import PATIENCE, at_most, receive_one, rest, send, texts


def soon(seconds):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def test_peeking_locks_nothing(client, queue):
    send(client, queue, "one", "two", "three")
    with client.get_queue_receiver(queue) as receiver:
        peeked = receiver.peek_messages(max_message_count=10)
        assert texts(peeked) == ["one", "two", "three"]
        assert [message.state.name for message in peeked] == ["ACTIVE"] * 3
        numbers = [message.sequence_number for message in peeked]
        assert numbers == sorted(set(numbers))
    assert rest(client, queue) == ["one", "two", "three"]


def test_peeking_pages_through_the_queue(client, queue):
    wanted = [str(number) for number in range(10)]
    send(client, queue, *wanted)
    seen = []
    with client.get_queue_receiver(queue) as receiver:
        while True:
            page = receiver.peek_messages(max_message_count=4)
            if not page:
                break
            seen.extend(texts(page))
    assert seen == wanted


def test_a_scheduled_message_appears_when_its_time_comes(client, queue):
    due = soon(3)
    with client.get_queue_sender(queue) as sender:
        sender.schedule_messages(ServiceBusMessage("soon"), due)
        [number] = sender.schedule_messages(ServiceBusMessage("much later"), soon(600))
    with client.get_queue_receiver(queue) as receiver:
        [peeked] = receiver.peek_messages(sequence_number=number)
        assert (str(peeked), peeked.state.name) == ("much later", "SCHEDULED")
        with at_most(3 + PATIENCE):
            got = receive_one(receiver)
        assert str(got) == "soon"
        assert datetime.now(timezone.utc) >= due - timedelta(seconds=0.1)
        receiver.complete_message(got)


def test_a_cancelled_message_never_appears_and_is_not_cancelled_twice(client, queue):
    with client.get_queue_sender(queue) as sender:
        numbers = sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], soon(600))
        assert len(numbers) == 2
        sender.cancel_scheduled_messages(numbers)
        with pytest.raises(MessageNotFoundError):
            sender.cancel_scheduled_messages(numbers[0])
    # Scheduled messages would show here as well.
    assert rest(client, queue) == []
