"""Sessions: who holds one, for how long, and in which order its messages come."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusError, SessionCannotBeLockedError

from support import PATIENCE, at_most, receive_one, send


def in_session(session, text):
    return ServiceBusMessage(text, session_id=session)


def test_the_next_free_session_is_given(client, queue):
    send(client, queue, in_session("A", "1"), in_session("B", "2"))
    with client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION) as first:
        assert first.session.session_id == "A"
        with client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION) as second:
            assert second.session.session_id == "B"
            for receiver, session in ((first, "A"), (second, "B")):
                got = receive_one(receiver)
                assert got.session_id == session
                receiver.complete_message(got)


def test_a_session_is_accepted_by_name(client, queue):
    send(client, queue, in_session("A", "not this"), in_session("B", "this"))
    with client.get_queue_receiver(queue, session_id="B") as receiver:
        got = receive_one(receiver)
        assert str(got) == "this"
        receiver.complete_message(got)
        assert receiver.receive_messages(max_wait_time=1) == []


def test_messages_of_a_session_come_in_order(client, queue):
    wanted = [str(number) for number in range(12)]
    send(client, queue, *(in_session("A" if int(text) % 2 else "B", text) for text in wanted))
    with client.get_queue_receiver(queue, session_id="A", max_wait_time=2) as receiver:
        got = []
        for message in receiver:
            got.append(str(message))
            receiver.complete_message(message)
    assert got == wanted[1::2]


def test_the_state_of_a_session_is_kept(client, queue):
    send(client, queue, in_session("A", "x"))
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        assert receiver.session.get_state() is None
        receiver.session.set_state(b"half way")
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        assert receiver.session.get_state() == b"half way"
        receiver.session.set_state(None)
        assert receiver.session.get_state() is None
        receiver.complete_message(receive_one(receiver))


def test_the_lock_of_a_session_is_renewed(client, queue):
    send(client, queue, in_session("A", "x"))
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        first = receiver.session.locked_until_utc
        assert timedelta(seconds=30) < first - datetime.now(timezone.utc) < timedelta(seconds=61)
        time.sleep(1)
        renewed = receiver.session.renew_lock()
        assert timedelta(seconds=0.5) < renewed - first < timedelta(seconds=10)
        receiver.complete_message(receive_one(receiver))


def test_a_held_session_cannot_be_locked(client, queue):
    send(client, queue, in_session("A", "x"))
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        with at_most(PATIENCE), pytest.raises(SessionCannotBeLockedError):
            with client.get_queue_receiver(queue, session_id="A") as second:
                receive_one(second)
        receiver.complete_message(receive_one(receiver))


def test_waiting_for_a_free_session_ends_in_time(client, queue):
    with at_most(PATIENCE), pytest.raises(OperationTimeoutError):
        with client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=2) as receiver:
            receive_one(receiver)


def test_a_plain_receiver_on_a_session_queue_is_refused(client, queue):
    with at_most(PATIENCE), pytest.raises(ServiceBusError, match="requires sessions"):
        with client.get_queue_receiver(queue) as receiver:
            receiver.receive_messages(max_wait_time=1)


def test_a_message_without_a_session_is_refused_by_a_session_queue(client, queue):
    with at_most(PATIENCE), pytest.raises(ServiceBusError):
        send(client, queue, "homeless")
