"""Credentials of Microsoft's libraries, pointed at the local authority instead of login.microsoftonline.com."""

from azure.identity import CertificateCredential, ClientSecretCredential

from support import setting

# What a token for Microsoft Graph is asked for.
GRAPH_SCOPE = "https://graph.microsoft.com/.default"


def _authority():
    # The libraries would ask Microsoft whether it knows an authority of this name.
    return {"authority": setting("GRAPH"), "disable_instance_discovery": True}


def secret_credential(secret=None):
    """The local app with its secret, or with another."""
    secret = secret or setting("CLIENT_SECRET")
    return ClientSecretCredential(setting("TENANT"), setting("CLIENT_ID"), secret, **_authority())


def certificate_credential():
    """The local app with its certificate."""
    return CertificateCredential(setting("TENANT"), setting("CLIENT_ID"), setting("CERTIFICATE"), **_authority())
