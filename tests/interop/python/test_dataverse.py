"""Rows through Microsoft's Dataverse client, which insists on HTTPS and reads every answer by its own rules."""

import uuid

import pytest

pytest.importorskip("PowerPlatform.Dataverse", reason="the client needs a newer Python")

from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError

from entra import secret_credential
from support import dataverse_door, setting


@pytest.fixture
def client():
    """A client that knows nothing yet."""
    with DataverseClient(setting("DATAVERSE"), secret_credential()) as client:
        yield client


def mark():
    """A name of this test's own, so that others do not disturb its lists."""
    return uuid.uuid4().hex[:12]


def refusal(work):
    """Status, code and the rest of what the service refuses."""
    with pytest.raises(HttpError) as caught:
        work()
    return caught.value


def test_a_contact_is_made_read_changed_and_removed(client):
    made = client.records.create("contact", {"firstname": "Ada", "lastname": mark(), "gendercode": "Female"})
    read = client.records.retrieve("contact", made, select=["firstname", "gendercode", "versionnumber"])
    assert (read["firstname"], read["gendercode"]) == ("Ada", 2), "the label was looked up in the metadata"
    client.records.update("contact", made, {"firstname": "Augusta"})
    again = client.records.retrieve("contact", made, select=["firstname", "versionnumber"])
    assert again["firstname"] == "Augusta"
    assert again["versionnumber"] > read["versionnumber"]
    client.records.delete("contact", made)
    assert client.records.retrieve("contact", made, select=["firstname"]) is None


def test_pages_give_every_row_once(client):
    name = mark()
    client.records.create("contact", [{"lastname": name, "firstname": str(number)} for number in range(23)])
    pages = list(
        client.records.list_pages("contact", filter=f"lastname eq '{name}'", select=["firstname"], page_size=5)
    )
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert sorted(int(row["firstname"]) for page in pages for row in page) == list(range(23))


def test_filters_and_orders_are_understood(client):
    name = mark()
    for number in range(4):
        client.records.create("contact", {"lastname": name, "firstname": f"O'{number}", "numberofchildren": number})
    found = client.records.list(
        "contact",
        filter=f"lastname eq '{name}' and (numberofchildren ge 2 or contains(firstname,'''0'))",
        select=["firstname"],
        orderby=["firstname desc"],
        include_annotations="*",
    )
    assert [row["firstname"] for row in found] == ["O'3", "O'2", "O'0"]
    top = client.records.list("contact", filter=f"lastname eq '{name}'", select=["firstname"], top=2)
    assert len(list(top)) == 2


def test_many_rows_are_changed_at_once(client):
    name = mark()
    ids = client.records.create("contact", [{"lastname": name}, {"lastname": name}])
    assert len(ids) == 2
    client.records.update("contact", ids, {"jobtitle": "Analyst"})
    client.records.update("contact", ids, [{"firstname": "a"}, {"firstname": "b"}])
    found = client.records.list("contact", filter=f"lastname eq '{name}'", select=["firstname", "jobtitle"])
    assert sorted((row["firstname"], row["jobtitle"]) for row in found) == [("a", "Analyst"), ("b", "Analyst")]
    refused = refusal(lambda: client.records.create("contact", [{"lastname": name}, {"firstname": "x" * 51}]))
    assert refused.details["service_error_code"] == "0x80044331"
    assert len(list(client.records.list("contact", filter=f"lastname eq '{name}'", select=["lastname"]))) == 2


def test_refusals_carry_status_code_and_request(client):
    nowhere = str(uuid.uuid4())
    refused = refusal(lambda: client.records.update("contact", nowhere, {"lastname": "x"}))
    assert (refused.status_code, refused.details["service_error_code"]) == (404, "0x80040217")
    assert refused.details["service_request_id"]
    refused = refusal(lambda: client.records.create("contact", {"nope": 1}))
    assert (refused.status_code, refused.details["service_error_code"]) == (400, "0x80048d19")
    refused = refusal(lambda: list(client.records.list("contact", filter="nope eq 1", select=["lastname"])))
    assert (refused.status_code, refused.details["service_error_code"]) == (400, "0x80060888")
    with pytest.raises(MetadataError):
        client.records.create("nope", {"a": 1})


def test_a_throttled_call_tells_when_to_come_back(client):
    # Only this test asks for roles.
    fault = {"path": "roles", "answer": {"throttled": {"limit": "requests", "retry_after": 7}}}
    dataverse_door("POST", "/__faults", fault)
    refused = refusal(lambda: list(client.records.list("role", select=["name"])))
    assert (refused.status_code, refused.details["service_error_code"]) == (429, "0x80072322")
    assert (refused.details["retry_after"], refused.is_transient) == (7, True)
    names = [row["name"] for row in client.records.list("role", select=["name"])]
    assert "System Administrator" in names


def test_a_batch_stops_at_its_first_error_or_goes_on(client):
    name = mark()

    def run(continue_on_error):
        batch = client.batch.new()
        batch.records.create("contact", {"lastname": name})
        batch.records.update("contact", str(uuid.uuid4()), {"lastname": name})
        batch.records.create("contact", {"lastname": name})
        return batch.execute(continue_on_error=continue_on_error)

    stopped = run(False)
    assert [one.status_code for one in stopped.responses] == [204, 404]
    assert stopped.responses[1].error_code == "0x80040217"
    went_on = run(True)
    assert [one.status_code for one in went_on.responses] == [204, 404, 204]
    assert len(went_on.entity_ids) == 2


def test_a_change_set_is_all_or_nothing(client):
    name = mark()
    batch = client.batch.new()
    with batch.changeset() as changes:
        made = changes.records.create("contact", {"lastname": name})
        changes.records.update("contact", made, {"firstname": "Ada"})
    result = batch.execute()
    assert not result.has_errors, [one.error_message for one in result.responses]
    [row] = client.records.list("contact", filter=f"lastname eq '{name}'", select=["firstname"])
    assert row["firstname"] == "Ada"
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("contact", {"lastname": name})
        changes.records.create("contact", {"firstname": "x" * 51})
    assert batch.execute().has_errors
    assert len(list(client.records.list("contact", filter=f"lastname eq '{name}'", select=["lastname"]))) == 1


def test_an_endpoint_a_step_and_an_image_are_made_and_read_back(client):
    endpoint = client.records.create(
        "serviceendpoint",
        {
            "name": mark(), "contract": 6, "namespaceformat": 2, "namespaceaddress": "sb://elsewhere.example/",
            "solutionnamespace": "elsewhere", "path": "contacts", "connectionmode": 1, "authtype": 2,
            "saskeyname": "send", "saskey": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=",
            "messageformat": 2, "messagecharset": 0, "userclaim": 1,
        },
    )
    read = client.records.retrieve("serviceendpoint", endpoint)
    assert read["issaskeyset"] is True
    assert "saskey" not in read
    [message] = client.records.list("sdkmessage", filter="name eq 'Create'", select=["sdkmessageid"])
    [for_contacts] = client.records.list(
        "sdkmessagefilter",
        filter=f"_sdkmessageid_value eq {message['sdkmessageid']} and primaryobjecttypecode eq 'contact'",
        select=["sdkmessagefilterid"],
    )
    step = client.records.create(
        "sdkmessageprocessingstep",
        {
            "name": mark(), "stage": 40, "mode": 1, "rank": 1, "supporteddeployment": 0, "asyncautodelete": True,
            "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({endpoint})",
            "sdkmessageid@odata.bind": f"/sdkmessages({message['sdkmessageid']})",
            "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({for_contacts['sdkmessagefilterid']})",
        },
    )
    image = {
        "name": "contactsync", "entityalias": "PostImage", "imagetype": 1, "attributes": "firstname,lastname",
        "sdkmessageprocessingstepid@odata.bind": f"/sdkmessageprocessingsteps({step})",
    }
    refused = refusal(
        lambda: client.records.create("sdkmessageprocessingstepimage", {**image, "messagepropertyname": "Target"})
    )
    assert refused.details["service_error_code"] == "0x8004416b"
    client.records.create("sdkmessageprocessingstepimage", {**image, "messagepropertyname": "Id"})
    [found] = client.records.list(
        "sdkmessageprocessingstep",
        filter=f"_eventhandler_value eq {endpoint}",
        select=["stage", "mode", "statecode"],
        expand=[
            "sdkmessageid($select=name)",
            "sdkmessageprocessingstepid_sdkmessageprocessingstepimage($select=entityalias)",
        ],
    )
    assert (found["stage"], found["mode"], found["statecode"]) == (40, 1, 0)
    assert found["sdkmessageid"]["name"] == "Create"
    [shown] = found["sdkmessageprocessingstepid_sdkmessageprocessingstepimage"]
    assert shown["entityalias"] == "PostImage"
    # Taken away again, so that the contacts of other tests do not fire it.
    client.records.delete("serviceendpoint", endpoint)
    assert client.records.retrieve("sdkmessageprocessingstep", step) is None
