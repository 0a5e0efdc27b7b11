"""Tokens, by each proof that the product can use, from both of Microsoft's libraries."""

import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from entra import GRAPH_SCOPE, certificate_credential, secret_credential
from support import setting


def opens_graph(token):
    """Whether Graph takes the token: it knows nobody of this id, but says so only to callers it knows."""
    url = setting("GRAPH") + "/v1.0/users/00000000-0000-4000-8000-000000000000"
    answer = requests.get(url, headers={"Authorization": "Bearer " + token}, timeout=10)
    return answer.status_code == 404


def confidential_client(proof):
    return msal.ConfidentialClientApplication(
        setting("CLIENT_ID"),
        client_credential=proof,
        authority=f"{setting('GRAPH')}/{setting('TENANT')}",
        instance_discovery=False,
    )


def test_azure_identity_gets_a_token_by_secret():
    assert opens_graph(secret_credential().get_token(GRAPH_SCOPE).token)


def test_azure_identity_gets_a_token_by_certificate():
    assert opens_graph(certificate_credential().get_token(GRAPH_SCOPE).token)


def test_azure_identity_tells_why_a_wrong_secret_is_refused():
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        secret_credential("wrong").get_token(GRAPH_SCOPE)


def test_msal_gets_a_token_by_secret_and_keeps_it():
    app = confidential_client(setting("CLIENT_SECRET"))
    first = app.acquire_token_for_client([GRAPH_SCOPE])
    assert opens_graph(first["access_token"]), first
    again = app.acquire_token_for_client([GRAPH_SCOPE])
    assert again["token_source"] == "cache"


def test_msal_gets_a_token_by_certificate():
    with open(setting("CERTIFICATE"), "rb") as file:
        pem = file.read()
    thumbprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
    proof = {
        "private_key": pem.decode(),
        "thumbprint_sha256": thumbprint,
        "public_certificate": pem[pem.index(b"-----BEGIN CERTIFICATE") :].decode(),
    }
    answer = confidential_client(proof).acquire_token_for_client([GRAPH_SCOPE])
    assert opens_graph(answer.get("access_token", "")), answer


def test_msal_tells_why_a_wrong_secret_is_refused():
    answer = confidential_client("wrong").acquire_token_for_client([GRAPH_SCOPE])
    assert answer["error"] == "invalid_client"
    assert 7000215 in answer["error_codes"]
    assert answer["correlation_id"]


def test_a_token_nobody_issued_opens_nothing():
    assert not opens_graph("eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl")
