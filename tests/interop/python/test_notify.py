"""What people are told, judged by a real mail server, a checker of signatures and a reader of CloudEvents."""

import json
import ssl
import subprocess
import threading
from base64 import b64decode
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest

pytest.importorskip("cloudevents", reason="needs Python 3.10")

from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword  # noqa: E402
from cloudevents.core.bindings.http import HTTPMessage, from_http_event  # noqa: E402
from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # noqa: E402

from support import setting  # noqa: E402

OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDSgHGoyPCbzM="
NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwuPVI6gVgX2E="


class Receiver:
    """Takes webhooks and keeps them."""

    def __enter__(self):
        kept = self.kept = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                kept.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"


class Mailbox:
    """Keeps mails, and who signed in to bring them."""

    def __init__(self, mailbox=""):
        self.mails = []
        # Whose tokens are good, what was in them, and how many were not.
        self.mailbox, self.claims, self.refused = mailbox, [], 0

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((session.auth_data.login.decode(), bool(session.ssl), envelope.rcpt_tos, mail))
        return "250 taken"


class TokenSMTP(SMTP):
    """aiosmtpd with the mechanism of Exchange Online: a token for mail opens it, and what is wrong is told in a challenge."""

    async def auth_XOAUTH2(self, _, args):
        said = dict(part.split("=", 1) for part in b64decode(args[1]).decode().split("\x01") if part)
        token = said["auth"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        if claims["aud"].rstrip("/") == "https://outlook.office365.com" and said["user"] == self.event_handler.mailbox:
            self.event_handler.claims.append(claims)
            return AuthResult(success=True, auth_data=LoginPassword(said["user"].encode(), token.encode()))
        self.event_handler.refused += 1
        await self.challenge_auth(json.dumps({"status": "401", "schemes": "Bearer"}))
        return AuthResult(success=False, handled=False, message="535 5.7.3 Authentication unsuccessful")


class MailServer(Controller):
    """aiosmtpd with STARTTLS, which lets nobody in without it."""

    def __init__(self, mailbox, folder):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True, capture_output=True,
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        super().__init__(mailbox, hostname="127.0.0.1", port=0)

    def factory(self):
        def check(_server, _session, _envelope, _mechanism, data):
            if data.password == b"p4ssword":
                return AuthResult(success=True, auth_data=data)
            # Answered by the server, not by us.
            return AuthResult(success=False, handled=False)

        server = TokenSMTP(
            self.handler, tls_context=self.tls, require_starttls=True, auth_required=True, authenticator=check, hostname="localhost"
        )
        # As RFC 4954 has it: a token is longer than other commands.
        server.command_size_limits["AUTH"] = 12288
        return server

    def _trigger_server(self):
        """Port 0 is chosen by the system, so there is no port of ours to try."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def tried(folder, channels, certificate=None):
    """What `notify test --json` says of these channels."""
    settings = folder / "contactsync.toml"
    trusted = f'[connection]\nca_file = "{certificate}"\n' if certificate else ""
    settings.write_text(
        f"""
[service_bus]
connection_string = "{setting("BUS")}"
queue = "the-worker"
[identity]
tenant = "contoso.example"
client_id = "11111111-2222-4333-8444-555555555555"
client_secret = "none"
{trusted}
{channels}
"""
    )
    command = [setting("WORKER"), "notify", "test", "--json", "--config", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["channels"]


def test_events_are_signed_as_standard_webhooks_says_and_are_cloud_events(tmp_path):
    (tmp_path / "key").write_text(f"{OLD}\n{NEW}\n")
    with Receiver() as receiver:
        hook = f'[[notify.channel]]\nname = "hook"\nkind = "webhook"\nurl = "{receiver.url}"\nkey_file = "{tmp_path / "key"}"\n'
        code, told = tried(tmp_path, hook)
        assert (code, told[0]["sent"]) == (0, True), told
        [(headers, body)] = receiver.kept
    for key in (OLD, NEW):
        assert Webhook(key).verify(body, headers)["specversion"] == "1.0"
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)
    event = from_http_event(HTTPMessage(headers=headers, body=body))
    assert event.get_id() == {name.lower(): value for name, value in headers.items()}["webhook-id"]
    assert event.get_type() == "dev.contactsync.test.v1"
    assert event.get_source().startswith("/contactsync/")
    assert event.get_data()["state"] == "test"


def test_a_mail_server_takes_the_mail_over_tls(tmp_path):
    mailbox = Mailbox()
    server = MailServer(mailbox, tmp_path)
    server.start()
    try:
        mail = f"""
[[notify.channel]]
name = "mail"
kind = "smtp"
host = "localhost"
port = {server.port}
user = "contactsync"
password = "PASSWORD"
from = "contactsync@contoso.example"
to = ["ops@contoso.example", "second@contoso.example"]
"""
        code, told = tried(tmp_path, mail.replace("PASSWORD", "p4ssword"), tmp_path / "cert.pem")
        assert (code, told[0]["sent"]) == (0, True), told
        code, told = tried(tmp_path, mail.replace("PASSWORD", "wrong"), tmp_path / "cert.pem")
        assert code == 1 and "535" in told[0]["answer"], told
        # Whoever is not trusted gets no password.
        code, told = tried(tmp_path, mail.replace("PASSWORD", "p4ssword"))
        assert code == 1 and not told[0]["sent"], told
    finally:
        server.stop()
    [(login, tls, recipients, mail)] = mailbox.mails
    assert (login, tls) == ("contactsync", True)
    assert recipients == ["ops@contoso.example", "second@contoso.example"]
    assert mail["From"].addresses[0].addr_spec == "contactsync@contoso.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"].startswith("[contactsync ") and "test" in mail["Subject"]
    assert mail["Message-ID"].endswith("@contoso.example>")
    assert not mail.defects and mail.get_content_type() == "text/plain"
    assert "This is a test" in mail.get_content()


def by_token(server, folder, mailbox, **changed):
    """What comes of a mail that is signed in for by a token of the local authority."""
    # Both the authority's certificate and that of the mail server are to be trusted.
    trusted = folder / "trusted.pem"
    trusted.write_text(Path(setting("CA")).read_text() + (folder / "cert.pem").read_text())
    app = {"client_id": setting("CLIENT_ID"), "client_secret": setting("CLIENT_SECRET"), **changed}
    mail = f"""
[notify.identity]
authority = "{setting("GRAPH")}"
tenant = "{setting("TENANT")}"
client_id = "{app["client_id"]}"
client_secret = "{app["client_secret"]}"
[[notify.channel]]
name = "mail"
kind = "smtp"
host = "localhost"
port = {server.port}
user = "{mailbox}"
from = "alerts@contoso.example"
to = ["ops@contoso.example"]
"""
    return tried(folder, mail, trusted)


def test_a_mail_server_takes_a_token_in_place_of_a_password_and_a_wrong_one_is_told(tmp_path):
    mailbox = Mailbox("alerts@contoso.example")
    server = MailServer(mailbox, tmp_path)
    server.start()
    try:
        code, told = by_token(server, tmp_path, "alerts@contoso.example")
        assert (code, told[0]["sent"]) == (0, True), told
        # Of a mailbox that the app may not send for, Exchange refuses the token by a challenge.
        code, told = by_token(server, tmp_path, "boss@contoso.example")
        assert code == 1 and "SMTP.SendAsApp" in told[0]["answer"], told
        # There is no token at all.
        code, told = by_token(server, tmp_path, "alerts@contoso.example", client_secret="wrong")
        assert code == 1 and "AADSTS7000215" in told[0]["answer"] and "wrong" not in told[0]["answer"].split(), told
    finally:
        server.stop()
    [(login, tls, _, mail)] = mailbox.mails
    assert (login, tls, mailbox.refused) == ("alerts@contoso.example", True, 1)
    assert mailbox.claims[0]["appid"] == setting("CLIENT_ID"), mailbox.claims
    assert "This is a test" in mail.get_content()
