"""Sessions: who holds one, for how long, and in which order its messages come."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from support import PATIENCE, at_most, connect, free_session, receive_one, send


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


def test_closing_frees_a_session_at_once(client, queue):
    for _ in range(3):
        with client.get_queue_receiver(queue, session_id="A") as receiver:
            receiver.session.renew_lock()
    with connect() as other:
        other.get_queue_receiver(queue, session_id="A").__enter__()
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        receiver.session.renew_lock()


def test_a_session_has_its_state_without_any_message(client, queue):
    with client.get_queue_receiver(queue, session_id="A") as receiver:
        locked = receiver.session.locked_until_utc - datetime.now(timezone.utc)
        assert timedelta(seconds=30) < locked < timedelta(seconds=61)
        receiver.session.set_state(b"term 1")
    with connect() as other, other.get_queue_receiver(queue, session_id="A") as receiver:
        assert receiver.session.get_state() == b"term 1"


def test_who_lost_a_session_early_cannot_renew_it_nor_see_its_state(client, queue):
    with client.get_queue_receiver(queue, session_id="A") as first, connect() as other:
        first.session.set_state(b"of the first")
        free_session(queue, "A")
        with other.get_queue_receiver(queue, session_id="A") as second:
            assert second.session.get_state() == b"of the first"
            for request in (
                first.session.renew_lock,
                first.session.get_state,
                lambda: first.session.set_state(b"too late"),
            ):
                with at_most(PATIENCE), pytest.raises(SessionLockLostError):
                    request()
            assert second.session.get_state() == b"of the first"
            second.session.renew_lock()


def test_a_lapsed_session_goes_to_the_next_one_with_its_state(client, queue):
    with client.get_queue_receiver(queue, session_id="A") as first, connect() as other:
        first.session.set_state(b"half way")
        time.sleep((first.session.locked_until_utc - datetime.now(timezone.utc)).total_seconds() + 0.5)
        with other.get_queue_receiver(queue, session_id="A") as second:
            until = second.session.locked_until_utc
            with at_most(PATIENCE), pytest.raises(SessionLockLostError):
                first.session.renew_lock()
            assert second.session.get_state() == b"half way"
            assert second.session.locked_until_utc == until
            assert second.session.renew_lock() > until


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
