"""The local Service Bus, Graph and Dataverse as processes on free ports, and what the tests have to know about them."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import children

HERE = Path(__file__).parent
HOME = Path(os.environ.get("INTEROP_HOME", HERE.parents[1] / "target/interop"))
BINARIES = Path(os.environ.get("INTEROP_BINARIES", HERE.parents[1] / "target/debug"))

# An app with both kinds of proof; it exists in the local tenant only.
CLIENT_ID = "7d3a4f5e-1b2c-4d6e-8f90-a1b2c3d4e5f6"
CLIENT_SECRET = "interop secret with ü, + and %"
KEY_FOLDER = HERE.parent / "emulator/src/graph/tests/data"

# Lines of the emulator's greeting, and what the tests call their values.
GREETING = {
    "BUS": r"connection string +(\S+)",
    "BUS_TLS": r"over TLS +Endpoint=(sb://[^;/]+)",
    "GRAPH_HTTP": r"HTTP +(http://\S+)",
    "GRAPH": r"HTTPS, authority +(https://\S+)",
    "TENANT": r"tenant +(\S+)",
    "DATAVERSE_HTTP": r"plain +(http://\S+)",
    "DATAVERSE": r"organization URL +(https://\S+)",
    "ORGANIZATION": r"organization id +(\S+)",
}


# What the worker or a library reads: whoever has exported settings of a real installation must not hand them on.
READ = ("CONTACTSYNC", "AZURE_", "IDENTITY_", "MSI_", "IMDS_", "OTEL_")


def surroundings():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(READ) and not name.upper().endswith("_PROXY")
    }


@contextmanager
def started(name, *arguments, entities=HERE / "Config.json", contacts=()):
    """Starts the services; gives the environment for tests; stops them at the end."""
    with tempfile.TemporaryDirectory(prefix=name + "-", dir=HOME) as folder:
        folder = Path(folder)
        command = [BINARIES / "emulator", "--config", entities, "--ca-file", folder / "ca.pem"]
        command += ["--dataverse-seed", seed(folder, contacts)]
        for port in ("amqp", "tls", "admin", "graph", "graph-tls", "dataverse", "dataverse-tls"):
            command += [f"--{port}-port", "0"]
        log = folder / "emulator.log"
        with open(log, "wb") as errors:
            with children.running([*command, *arguments], stdout=subprocess.PIPE, stderr=errors) as process:
                settings = read_greeting(process, folder)
                register_app(settings, folder)
                yield {**surroundings(), **settings}
                if process.poll() is not None:
                    raise RuntimeError(f"the emulator ended:\n{log.read_text()}")


def read_greeting(process, folder):
    """Takes the addresses from what the emulator prints when it is ready."""
    settings = {}
    for line in process.stdout:
        for name, pattern in GREETING.items():
            found = re.match(" *" + pattern, line)
            if found:
                settings["INTEROP_" + name] = found.group(1)
        if len(settings) == len(GREETING):
            break
    else:
        raise RuntimeError(f"the emulator does not start:\n{(folder / 'emulator.log').read_text()}")
    ca = str(folder / "ca.pem")
    return {
        **settings,
        "INTEROP_BUS_WEBSOCKET": settings["INTEROP_BUS_TLS"] + "/$servicebus/websocket",
        "INTEROP_CA": ca,
        "INTEROP_CLIENT_ID": CLIENT_ID,
        "INTEROP_CLIENT_SECRET": CLIENT_SECRET,
        "INTEROP_CERTIFICATE": str(folder / "client.pem"),
        "INTEROP_WORKER": str(BINARIES / "contactsync"),
        # How each library is told to trust a private authority.
        "SSL_CERT_FILE": ca,
        "REQUESTS_CA_BUNDLE": ca,
        "NODE_EXTRA_CA_CERTS": ca,
    }


def seed(folder, contacts):
    """Writes what Dataverse begins with: the app's user, a solution, and these contacts."""
    user = {"application_id": CLIENT_ID, "roles": ["System Administrator"]}
    file = folder / "dataverse.json"
    begins = {"application_users": [user], "solutions": ["contactsync"], "contacts": list(contacts)}
    file.write_text(json.dumps(begins))
    return file


def register_app(settings, folder):
    """Makes the app known to the tenant, and writes its key and certificate where clients look for them."""
    certificate = (KEY_FOLDER / "certificate.pem").read_text()
    (folder / "client.pem").write_text((KEY_FOLDER / "key.pem").read_text() + certificate)
    app = {"id": CLIENT_ID, "secrets": [{"value": CLIENT_SECRET}], "certificates": [certificate]}
    url = settings["INTEROP_GRAPH_HTTP"] + "/__apps"
    request = urllib.request.Request(url, data=json.dumps(app).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
