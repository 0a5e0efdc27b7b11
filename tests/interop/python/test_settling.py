"""Each way to settle a message, and what becomes of it."""

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageAlreadySettled, ServiceBusError

from support import PATIENCE, at_most, connect, receive_one, rest, send


def test_a_completed_message_is_gone(client, queue):
    send(client, queue, "done")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        with at_most(PATIENCE):
            receiver.complete_message(got)
        assert receiver.receive_messages(max_wait_time=1) == []
        assert receiver.peek_messages(sequence_number=1) == []


def test_a_settled_message_is_not_settled_again(client, queue):
    send(client, queue, "once")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        receiver.complete_message(got)
        with pytest.raises(MessageAlreadySettled):
            receiver.abandon_message(got)
    assert rest(client, queue) == []


def test_an_abandoned_message_comes_again_with_a_higher_count(client, queue):
    send(client, queue, "again", "done", "done", "done")
    with client.get_queue_receiver(queue) as receiver:
        got = []
        while len(got) < 4:
            got += receiver.receive_messages(max_message_count=9, max_wait_time=PATIENCE)
        first, *others = got
        assert (str(first), first.delivery_count) == ("again", 0)
        receiver.abandon_message(first)
        # Room for nine is not used up, so the message comes back while these are settled. The client releases what
        # arrives outside a receive call, perhaps more than once, and that must not count.
        for other in others:
            receiver.complete_message(other)
        for count in (1, 2):
            got = receive_one(receiver)
            assert (str(got), got.delivery_count) == ("again", count)
            receiver.abandon_message(got)
        got = receive_one(receiver)
        assert got.delivery_count == 3
        receiver.complete_message(got)


def test_properties_given_on_abandoning_are_kept(client, queue):
    # The public methods of this SDK take no properties; the JavaScript one does. Here they must survive unchanged.
    send(client, queue, ServiceBusMessage("again", application_properties={"kept": "yes"}))
    with client.get_queue_receiver(queue) as receiver:
        receiver.abandon_message(receive_one(receiver))
        got = receive_one(receiver)
        assert got.application_properties == {b"kept": b"yes"}
        receiver.complete_message(got)


def test_a_dead_lettered_message_tells_its_reason(client, queue):
    send(client, queue, ServiceBusMessage("bad", message_id="bad-1", application_properties={"kept": 1}))
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        with at_most(PATIENCE):
            receiver.dead_letter_message(got, reason="BadThing", error_description="it was bad")
        assert receiver.receive_messages(max_wait_time=1) == []
    with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        got = receive_one(receiver)
        assert (got.dead_letter_reason, got.dead_letter_error_description) == ("BadThing", "it was bad")
        assert (str(got), got.message_id) == ("bad", "bad-1")
        assert got.application_properties[b"kept"] == 1
        receiver.complete_message(got)
    assert rest(client, queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) == []


def test_a_deferred_message_is_received_by_its_number(client, queue):
    send(client, queue, "later")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        number = got.sequence_number
        receiver.defer_message(got)
        assert receiver.receive_messages(max_wait_time=1) == []
        [deferred] = receiver.receive_deferred_messages(number)
        assert str(deferred) == "later"
        assert deferred.state.name == "DEFERRED"
        receiver.complete_message(deferred)
        with pytest.raises(ServiceBusError):
            receiver.receive_deferred_messages(number)


def test_a_message_failing_too_often_moves_to_the_dead_letters(client, queue):
    send(client, queue, "hopeless")
    with client.get_queue_receiver(queue) as receiver:
        for count in range(3):
            got = receive_one(receiver)
            assert got.delivery_count == count
            receiver.abandon_message(got)
        assert receiver.receive_messages(max_wait_time=1) == []
    with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        got = receive_one(receiver)
        assert got.dead_letter_reason == "MaxDeliveryCountExceeded"
        assert "3 delivery attempts" in got.dead_letter_error_description
        receiver.complete_message(got)


def test_closing_gives_back_what_was_not_settled(client, queue):
    send(client, queue, "first", "second", "third")
    with client.get_queue_receiver(queue, prefetch_count=5) as receiver:
        receiver.complete_message(receive_one(receiver))
    with connect() as other, other.get_queue_receiver(queue) as receiver:
        for text in ("second", "third"):
            got = receive_one(receiver)
            assert (str(got), got.delivery_count) == (text, 0)
            receiver.complete_message(got)
