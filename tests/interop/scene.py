"""A small world with something of everything to be seen: changes that were applied, dead letters, messages held aside, users that
differ from their contacts. All names are made up."""

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import services

sys.path.insert(0, str(Path(__file__).parent / "python"))

from terminal import Terminal, shown  # noqa: E402

ROOT = Path(__file__).parents[2]
CAPTURED = ROOT / "tests/fixtures/contexts/contact-update-portal-identity.json"

PEOPLE = [
    ("Ada", "Lovelace"), ("Alan", "Turing"), ("Edsger", "Dijkstra"), ("Grace", "Hopper"), ("Barbara", "Liskov"),
    ("Donald", "Knuth"), ("Leslie", "Lamport"), ("Frances", "Allen"), ("Tony", "Hoare"), ("Radia", "Perlman"),
]
# How messages end that do not come again by themselves.
ENDS = ("applied", "stale", "unchanged", "dead_lettered", "held_aside")
# Who works in Dataverse, and who imports.
CLERK, IMPORTER = "5b39232e-0784-4443-b87a-81eb895db277", "7e0f2a11-3c5d-4e6f-8a9b-0c1d2e3f4a5b"

SETTINGS = """[service_bus]
queue = "contacts"
[identity]
authority = "{graph}"
tenant = "{tenant}"
client_id = "{client_id}"
[graph]
root = "{graph}"
[guard]
attribute = "extensionAttribute15"
[connection]
ca_file = "{ca}"
[filter]
organizations = ["{organization}"]
[mapping]
preset = "custom"
rows = [
    {{ column = "firstname", property = "givenName" }},
    {{ column = "lastname", property = "surname" }},
    {{ column = "jobtitle", property = "jobTitle" }},
    {{ column = "telephone1", property = "mobilePhone" }},
]
[dataverse]
url = "{dataverse}"
[dataverse.identity]
authority = "{graph}"
tenant = "{tenant}"
client_id = "{client_id}"
[mass_change]
users = 5
[http]
listen = "127.0.0.1:{port}"
[journal]
path = "{journal}"
[retry]
not_found_grace = "200ms"
first_delay = "20ms"
longest_delay = "100ms"
[notify]
environment = "production"
[[notify.channel]]
name = "on-call"
kind = "webhook"
key_file = "key"
url_file = "hook"
[[notify.channel]]
name = "team"
kind = "slack"
url_file = "slack"
"""

# Files beside the settings, and the variables that name those which are no settings themselves.
SECRETS = {
    "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING_FILE": "bus",
    "CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE": "client_secret",
    "CONTACTSYNC__DATAVERSE__IDENTITY__CLIENT_SECRET_FILE": "client_secret",
}


def user(number):
    return f"6a1e2c1e-6c2d-4b0e-9a44-0000000000{number:02}"


def contact(number):
    return f"03d0d059-3dcf-41f2-9e20-0000000000{number:02}"


def job(version, number):
    return f"cf22a264-7b10-4cb4-{version % 10_000:04}-0000000000{number:02}"


def rows():
    """The contacts, as Dataverse begins with them."""
    for number, (first, last) in enumerate(PEOPLE, 1):
        yield {
            "contactid": contact(number), "firstname": first, "lastname": last, "adx_identity_username": user(number),
            "jobtitle": "Engineer",
        }
    for number in range(5, 8):
        # Whose user somebody has deleted.
        yield {"contactid": contact(40 + number), "firstname": "Ada", "adx_identity_username": user(90 + number)}


def body(organization, number, author=CLERK, link=None, version=1000, **columns):
    """A captured change, as if it were of this contact."""
    context = json.loads(CAPTURED.read_text())
    columns = {"adx_identity_username": link or user(number), "contactid": contact(number), "versionnumber": version, **columns}
    target = context["InputParameters"][0]["value"]
    target["Id"] = context["PrimaryEntityId"] = columns["contactid"]
    target["Attributes"] = [{"key": key, "value": value} for key, value in columns.items()]
    context["OrganizationId"] = organization
    context["InitiatingUserId"] = context["UserId"] = author
    context["OperationId"] = job(version, number)
    return json.dumps(context)


class Scene:
    """The world, and the settings to see it with."""

    def __init__(self, environment, folder, hook):
        self.folder = folder
        value = lambda name: environment["INTEROP_" + name]  # noqa: E731
        self.graph, self.organization = value("GRAPH_HTTP"), value("ORGANIZATION")
        self.port = free_port()
        values = {name: value(name.upper()) for name in ("graph", "ca", "tenant", "client_id", "dataverse", "organization")}
        (folder / "journal").mkdir()
        text = SETTINGS.format(port=self.port, journal=folder / "journal", **values)
        (folder / "contactsync.toml").write_text(text)
        for name in ("bus", "client_secret"):
            (folder / name).write_text(value(name.upper()))
        (folder / "hook").write_text(hook + "/hook")
        (folder / "slack").write_text(hook + "/gone")
        (folder / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwuPVI6gVgX2E=")
        self.surroundings = {**services.surroundings(), **SECRETS}
        self.worker = value("WORKER")
        for number, (first, last) in enumerate(PEOPLE, 1):
            self.door("POST", "/__users", {
                "id": user(number),
                "properties": {"displayName": f"{first} {last}", "givenName": first, "surname": last, "jobTitle": "Engineer"},
            })

    def door(self, method, path, content):
        request = urllib.request.Request(self.graph + path, data=json.dumps(content).encode(), method=method)
        urllib.request.urlopen(request, timeout=10).close()

    def command(self, *arguments):
        return [self.worker, *arguments]

    def options(self, columns, rows=120, **environment):
        return {
            "columns": columns, "rows": rows, "folder": self.folder,
            "environment": {**self.surroundings, **environment},
        }

    def shown(self, *arguments, columns=80, **environment):
        return shown(self.command(*arguments), **self.options(columns, **environment))

    def terminal(self, *arguments, columns=80, rows=120, **environment):
        return Terminal(self.command(*arguments), **self.options(columns, rows, **environment))

    def refill(self):
        """Brings everything there is, and lets a worker end it."""
        self.send(*bodies(self.organization))
        with self.terminal("run", rows=400) as worker:
            self.settled(worker)
            worker.press("\x03")
            assert worker.end() == 0, worker.text()

    def send(self, *bodies):
        files = []
        for place, text in enumerate(bodies):
            file = self.folder / f"body-{place}.json"
            file.write_text(text)
            files.append(file)
        done = subprocess.run(self.command("send", *map(str, files)), cwd=self.folder, capture_output=True, text=True,
                              env=self.surroundings)
        assert done.returncode == 0, done.stderr

    def status(self):
        """What the worker says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status.json", timeout=10) as answer:
            return json.load(answer)

    def settled(self, worker, patience=60):
        """Waits until what can end has ended."""
        self.wait(worker, lambda ended: ended.get("dead_lettered") == 5 and ended.get("held_aside") == 5, patience)

    def one_by_one(self, worker):
        """Brings everything there is, each message when the one before has ended: so every run gives them the same numbers."""
        for count, text in enumerate(bodies(self.organization), 1):
            self.send(text)
            self.wait(worker, lambda ended: sum(ended.get(outcome, 0) for outcome in ENDS) == count)

    def wait(self, worker, is_so, patience=60):
        """Waits for outcomes. What the worker writes is read meanwhile, or it would have to wait for that."""
        deadline = time.monotonic() + patience
        while True:
            worker.read(0.05)
            try:
                outcomes = self.status()["outcomes"]
                if is_so(outcomes):
                    return
            except OSError:
                outcomes = "no worker"
            assert time.monotonic() < deadline, outcomes


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def bodies(organization):
    """Changes that end in every way: applied, of no use, too many alike by one author, and without a user. The last are tried
    several times, nobody knows how often."""
    yield from (body(organization, number, version=1000 + number, jobtitle="Fellow") for number in range(1, 5))
    yield body(organization, 48, link="frances@portal.example", version=3001, firstname="Frances")
    yield body(organization, 9, version=3002, telephone1="+1 " + "5" * 90)
    yield from (body(organization, number, author=IMPORTER, version=4000 + number, jobtitle=None) for number in range(1, 11))
    yield from (body(organization, 40 + number, link=user(90 + number), version=5000 + number, firstname="Ada") for number in range(5, 8))


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes notices at one path, and is gone at the other."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(202 if self.path == "/hook" else 404)
        self.end_headers()
        self.wfile.write(b"" if self.path == "/hook" else b"no_service")

    def log_message(self, *_):
        pass


@contextmanager
def receiver():
    """Somebody who is told; gives the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def begun(hook):
    """The services, with users and contacts."""
    contacts = list(rows())
    # Whom somebody has changed past the worker.
    contacts[8]["jobtitle"], contacts[9]["lastname"] = "Professor", "Perlman-Smith"
    with services.started("scene", entities=ROOT / "deploy/compose/queues.json", contacts=contacts) as environment:
        yield Scene(environment, Path(environment["INTEROP_CA"]).parent, hook)
