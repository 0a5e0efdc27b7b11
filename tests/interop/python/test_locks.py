"""Locks: how long they last and what happens after."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError

from support import receive_one, send


def sleep_past(moment):
    """The lock has to lapse by the service's clock, so there is nothing to poll for."""
    time.sleep(max(0.0, (moment - datetime.now(timezone.utc)).total_seconds()) + 0.5)


def test_a_renewed_lock_lasts_longer(client, queue):
    send(client, queue, "slow work")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        first = got.locked_until_utc
        time.sleep(1)
        renewed = receiver.renew_message_lock(got)
        assert timedelta(seconds=0.5) < renewed - first < timedelta(seconds=8)
        sleep_past(first)
        receiver.complete_message(got)


def test_completing_after_the_lock_expired_is_refused(client, queue):
    send(client, queue, "too slow")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        sleep_past(got.locked_until_utc)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(got)
        again = receive_one(receiver)
        assert (str(again), again.delivery_count) == ("too slow", 1)
        receiver.complete_message(again)


def test_renewing_after_the_lock_expired_is_refused(client, queue):
    send(client, queue, "too slow")
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        token = got.lock_token
        sleep_past(got.locked_until_utc)
        # The client would refuse by its own clock; the service is what is to be judged.
        with pytest.raises(MessageLockLostError):
            receiver._renew_locks(token)
        again = receive_one(receiver)
        assert again.delivery_count == 1
        receiver.complete_message(again)


def test_an_expired_message_moves_to_the_dead_letters(client, queue):
    send(client, queue, ServiceBusMessage("stale", time_to_live=timedelta(seconds=1)))
    with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        got = receive_one(receiver)
        assert got.dead_letter_reason == "TTLExpiredException"
        receiver.complete_message(got)
    with client.get_queue_receiver(queue) as receiver:
        assert receiver.receive_messages(max_wait_time=1) == []
