"""What every test gets: a client, and a queue of its own."""

import signal

import pytest

from support import connect

# Asked to end, the run tidies up as for Ctrl-C: the worker that it has started must not outlive it.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def client():
    """A client of the local Service Bus over plain AMQP."""
    with connect() as client:
        yield client


@pytest.fixture
def queue(request):
    """The queue in Config.json that is named as the test is."""
    return request.node.originalname.removeprefix("test_").replace("_", "-")
