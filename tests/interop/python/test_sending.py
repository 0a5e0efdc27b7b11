"""What is sent arrives, whole and as it was."""

import uuid

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageSizeExceededError, MessagingEntityNotFoundError

from support import PATIENCE, at_most, connect, receive_one, rest, send, texts


def test_a_message_arrives_as_it_was_sent(client, queue):
    sent = ServiceBusMessage(
        b'{"a":1}',
        message_id="change-1",
        content_type="application/json",
        correlation_id="correlation",
        subject="contact",
        to="somewhere",
        reply_to="elsewhere",
        application_properties={"text": "ü", "number": 7, "yes": True},
    )
    send(client, queue, sent)
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        assert str(got) == '{"a":1}'
        assert got.application_properties == {b"text": "ü".encode(), b"number": 7, b"yes": True}
        for name in ("message_id", "content_type", "correlation_id", "subject", "to", "reply_to"):
            assert getattr(got, name) == getattr(sent, name), name
        assert got.delivery_count == 0
        assert got.sequence_number > 0
        assert got.lock_token.int != 0
        assert 60 <= (got.locked_until_utc - got.enqueued_time_utc).total_seconds() <= 60 + PATIENCE
        receiver.complete_message(got)


def test_a_message_without_an_id_is_given_one(client, queue):
    message = ServiceBusMessage("anonymous")
    message.message_id = None
    send(client, queue, message)
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        assert got.message_id
        receiver.complete_message(got)


def test_a_batch_arrives_message_by_message(client, queue):
    wanted = [f"batch {number}" for number in range(20)]
    with client.get_queue_sender(queue) as sender:
        batch = sender.create_message_batch()
        for text in wanted:
            batch.add_message(ServiceBusMessage(text, message_id=str(uuid.uuid4())))
        sender.send_messages(batch)
    assert rest(client, queue) == wanted


def test_a_list_of_messages_is_sent_at_once(client, queue):
    wanted = [f"list {number}" for number in range(20)]
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(text) for text in wanted])
    assert rest(client, queue) == wanted


def test_a_message_below_the_size_limit_arrives_whole(client, queue):
    body = "".join(f"{number:07} " for number in range(250_000 // 8))
    send(client, queue, body)
    with client.get_queue_receiver(queue) as receiver:
        got = receive_one(receiver)
        assert str(got) == body
        receiver.complete_message(got)


def test_a_message_over_the_size_limit_is_refused(client, queue):
    with client.get_queue_sender(queue) as sender:
        with at_most(PATIENCE), pytest.raises(MessageSizeExceededError):
            sender.send_messages(ServiceBusMessage("x" * 300_000))
        sender.send_messages(ServiceBusMessage("small"))
    assert rest(client, queue) == ["small"]


def test_a_duplicate_within_the_window_is_dropped(client, queue):
    first, again = (ServiceBusMessage(text, message_id="same") for text in ("first", "again"))
    send(client, queue, first, again, ServiceBusMessage("other", message_id="another"))
    assert rest(client, queue) == ["first", "other"]


def test_an_unknown_queue_is_reported_to_the_sender(client, queue):
    with at_most(PATIENCE), pytest.raises(MessagingEntityNotFoundError):
        send(client, queue + "/missing", "nobody reads this")


def test_an_unknown_queue_is_reported_to_the_receiver(client, queue):
    with at_most(PATIENCE), pytest.raises(MessagingEntityNotFoundError):
        with client.get_queue_receiver(queue + "/missing") as receiver:
            receiver.receive_messages(max_wait_time=1)


def test_receive_and_delete_needs_no_settlement(client, queue):
    send(client, queue, "one", "two")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver(queue, receive_mode=mode) as receiver:
        got = receiver.receive_messages(max_message_count=1, max_wait_time=PATIENCE)
        assert texts(got) == ["one"]
        with pytest.raises(ValueError):
            receiver.complete_message(got[0])
    with connect() as other:
        assert rest(other, queue) == ["two"]
    assert rest(client, queue) == []


def test_receiving_from_an_empty_queue_returns_in_time(client, queue):
    with client.get_queue_receiver(queue) as receiver:
        with at_most(PATIENCE):
            assert receiver.receive_messages(max_message_count=5, max_wait_time=1) == []
        send(client, queue, "late")
        got = receive_one(receiver)
        assert str(got) == "late"
        receiver.complete_message(got)


def test_thirty_messages_are_streamed_in_order(client, queue):
    wanted = [str(number) for number in range(30)]
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(text) for text in wanted])
    got = []
    with client.get_queue_receiver(queue, max_wait_time=2, prefetch_count=7) as receiver:
        for message in receiver:
            got.append(str(message))
            receiver.complete_message(message)
    assert got == wanted
    assert rest(client, queue) == []
