"""Users through Microsoft's Graph SDK, which parses every answer by its own model."""

import asyncio
import uuid

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.object_identity import ObjectIdentity
from msgraph.generated.models.user import User
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

from entra import GRAPH_SCOPE, secret_credential
from support import at_most, door, setting


def with_graph(work):
    """Runs `work(client)`. The client belongs to one event loop, so each test has its own."""

    async def run():
        provider = AzureIdentityAuthenticationProvider(
            secret_credential(), scopes=[GRAPH_SCOPE], allowed_hosts=["localhost"]
        )
        adapter = GraphRequestAdapter(provider)
        adapter.base_url = setting("GRAPH") + "/v1.0"
        return await work(GraphServiceClient(request_adapter=adapter))

    return asyncio.run(run())


def select(*names):
    """Options of a GET that asks for these properties."""
    query = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=list(names))
    return RequestConfiguration(query_parameters=query)


@pytest.fixture
def user():
    """The id of a fresh user with a sign-in address of its own."""
    number = str(uuid.uuid4())
    identity = {"signInType": "emailAddress", "issuerAssignedId": f"{number[:8]}@old.example"}
    properties = {"displayName": "Ada L.", "givenName": "Ada", "jobTitle": "Analyst"}
    door("POST", "/__users", {"id": number, "properties": properties, "identities": [identity]})
    return number


def refusal(user, patch):
    """The error that a PATCH is refused with."""
    with pytest.raises(ODataError) as caught:
        with_graph(lambda graph: graph.users.by_user_id(user).patch(patch))
    return caught.value


def test_a_user_is_read_with_the_usual_properties(user):
    got = with_graph(lambda graph: graph.users.by_user_id(user).get())
    assert (got.id, got.display_name, got.given_name, got.job_title) == (user, "Ada L.", "Ada", "Analyst")
    assert got.user_principal_name
    assert got.identities is None


def test_a_patch_sets_what_it_names_and_leaves_the_rest(user):
    async def work(graph):
        item = graph.users.by_user_id(user)
        assert await item.patch(User(surname="Lovelace", other_mails=["ada@new.example"])) is None
        return await item.get(select("givenName", "surname", "otherMails"))

    got = with_graph(work)
    assert (got.given_name, got.surname, got.other_mails) == ("Ada", "Lovelace", ["ada@new.example"])


def test_a_property_is_cleared_by_null(user):
    async def work(graph):
        item = graph.users.by_user_id(user)
        # This SDK leaves out what is None; only additional data can say null.
        await item.patch(User(additional_data={"jobTitle": None}))
        return await item.get()

    assert with_graph(work).job_title is None


def test_a_sign_in_address_is_changed_within_the_identities(user):
    async def work(graph):
        item = graph.users.by_user_id(user)
        before = (await item.get(select("id", "identities"))).identities
        assert sorted(one.sign_in_type for one in before) == ["emailAddress", "userPrincipalName"]
        for one in before:
            if one.sign_in_type == "emailAddress":
                one.issuer_assigned_id = f"{user[:8]}@new.example"
        await item.patch(User(identities=before))
        return (await item.get(select("identities"))).identities

    after = {one.sign_in_type: one.issuer_assigned_id for one in with_graph(work)}
    assert after["emailAddress"] == f"{user[:8]}@new.example"
    assert len(after) == 2


def test_identities_without_the_principal_name_are_refused(user):
    only = ObjectIdentity(
        sign_in_type="emailAddress", issuer="contoso.onmicrosoft.com", issuer_assigned_id="a@b.example"
    )
    error = refusal(user, User(identities=[only]))
    assert error.response_status_code == 400
    assert error.error.code == "Request_BadRequest"


def test_an_address_of_another_user_is_a_conflict_that_names_it(user):
    other = str(uuid.uuid4())
    taken = f"{other[:8]}@taken.example"
    door("POST", "/__users", {"id": other, "properties": {"mail": taken}})
    error = refusal(user, User(mail=taken))
    assert error.response_status_code == 400
    details = {detail.code: detail.target for detail in error.error.details}
    assert "ObjectConflict" in details
    assert details["ConflictingObjects"].lower() == f"user_{other}"


def test_a_bad_value_is_refused_with_its_target_and_nothing_is_applied(user):
    error = refusal(user, User(given_name="", surname="Lovelace"))
    assert (error.response_status_code, error.error.code) == (400, "Request_BadRequest")
    assert [(detail.code, detail.target) for detail in error.error.details] == [("InvalidValue", "givenName")]
    assert error.error.inner_error.request_id and error.error.inner_error.client_request_id
    assert "surname" not in door("GET", "/__users/" + user)["properties"]


def test_an_unknown_user_is_not_found():
    error = refusal(str(uuid.uuid4()), User(given_name="Nobody"))
    assert (error.response_status_code, error.error.code) == (404, "Request_ResourceNotFound")


def test_a_batch_answers_each_item_by_its_id(user):
    ids = {"good": user, "lost": str(uuid.uuid4())}

    async def work(graph):
        content = BatchRequestContent()
        for number, who in ids.items():
            request = graph.users.by_user_id(who).to_patch_request_information(User(surname="King"))
            item = BatchRequestItem(request, number)
            # Relative as Graph wants it: the SDK only knows how to shorten addresses of Microsoft's own hosts.
            item.url = "/users/" + who
            content.add_request(number, item)
        answers = await graph.batch.post(content)
        return {number: answers.get_response_by_id(number).status for number in ids}

    assert with_graph(work) == {"good": 204, "lost": 404}
    assert door("GET", "/__users/" + user)["properties"]["surname"] == "King"


def attempts(user):
    """Status and retry mark of each call that named the user."""
    entries = door("GET", "/__journal")["entries"]
    return [(one["status"], one["retry_attempt"]) for one in entries if user in one["path"]]


@pytest.mark.parametrize("status", [429, 503])
def test_the_sdk_itself_waits_and_tries_again_when_throttled(user, status):
    answer = {"error": {"status": status, "retry_after": {"seconds": 1}}}
    door("POST", "/__faults", {"user": user, "method": "PATCH", "times": 2, "answer": answer})
    with at_most(20):
        with_graph(lambda graph: graph.users.by_user_id(user).patch(User(surname="Patient")))
    assert attempts(user) == [(status, None), (status, "1"), (204, "2")]
    assert door("GET", "/__users/" + user)["properties"]["surname"] == "Patient"


def test_the_sdk_does_not_repeat_a_server_error(user):
    door("POST", "/__faults", {"user": user, "method": "PATCH", "answer": {"error": {"status": 500}}})
    error = refusal(user, User(surname="Unlucky"))
    assert error.response_status_code == 500
    assert attempts(user) == [(500, None)]
