"""What every test gets: a client, and a queue of its own."""

import pytest

from support import connect


@pytest.fixture
def client():
    """A client of the local Service Bus over plain AMQP."""
    with connect() as client:
        yield client


@pytest.fixture
def queue(request):
    """The queue in Config.json that is named as the test is."""
    return request.node.originalname.removeprefix("test_").replace("_", "-")
