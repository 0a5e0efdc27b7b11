"""Breaks the emulator on purpose, one rule of the dialect at a time, and demands that the suites notice."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import services
import suites

# Seconds a single step may take here: the symptom of many breaches is that nothing happens.
PATIENCE = 5


class Case(NamedTuple):
    """With this rule broken, this test must fail, and say something like this."""

    rule: str
    language: str
    test: str
    symptom: str


GONE = "a completed message is gone"
DEAD = "a dead lettered message tells its reason"
AS_SENT = "a message arrives as it was sent"
RENEWED = "a renewed lock lasts longer"
SESSION = "the lock of a session is renewed"
NO_ID = "a message without an id is given one"
BOUNCED = "an abandoned message comes again with a higher count"

CASES = [
    Case("echo-withheld", "python", GONE, r"receiver\.complete_message.*Timeout"),
    Case("echo-withheld", "js", GONE, r"settle the message has timed out"),
    Case("echo-unsettled", "python", GONE, r"receiver\.complete_message.*Timeout"),
    Case("echo-unsettled", "js", GONE, r"settle the message has timed out"),
    Case("dead-letter-echo-error", "python", DEAD, r"ServiceBusError: .*com\.microsoft:dead-letter"),
    Case("dead-letter-echo-error", "js", DEAD, r"The message was dead-lettered"),
    Case("two-field-errors", "python", "a message over the size limit is refused", r"send_messages.*Timeout"),
    Case("no-max-message-size", "js", "a list of messages is sent at once", r"too big to fit in a single batch"),
    Case("no-delivery-count", "python", AS_SENT, r"delivery_count == 0\n.*assert None == 0"),
    Case("no-delivery-count", "js", AS_SENT, r"undefined !== 0"),
    Case("short-tags", "python", AS_SENT, r"bytes_le is not a 16-char string"),
    Case("short-tags", "js", RENEWED, r"The lock supplied is invalid"),
    Case("tag-order", "python", RENEWED, r"MessageLockLostError"),
    Case("tag-order", "js", RENEWED, r"The lock supplied is invalid"),
    Case("delivery-gaps", "js", "thirty messages are streamed in order", r"test timed out"),
    Case("correlation-as-string", "python", GONE, r"client_ready.*Timeout"),
    Case("locked-until-timestamp", "python", SESSION, r"datetime\(1, 1, \d"),
    Case("locked-until-timestamp", "js", SESSION, r"locked for -\d+ ms"),
    Case("no-sender-credit", "js", AS_SENT, r"test timed out"),
    Case("no-message-id", "python", NO_ID, r"got\.message_id\n.*assert None"),
    Case("no-message-id", "js", NO_ID, r"no message ID"),
    Case("released-counts", "python", BOUNCED, r"At index 1 diff: \d+ != 1"),
]


def check(case):
    """Whether the test fails, and for the reason that was asked for."""
    title = f"{case.rule} is noticed by {case.language}: {case.test}"
    with services.started(case.rule, "--break", case.rule) as settings:
        found = suites.run_one(case.language, case.test, settings, PATIENCE)
    if found.name != case.test or found.failure is None:
        return suites.Result("broken", title, found.failure or "the test passed all the same")
    if not re.search(case.symptom, found.failure, re.DOTALL):
        return suites.Result("broken", title, f"another symptom than '{case.symptom}':\n{found.failure}")
    return suites.Result("broken", title)


def control(language):
    """The same tests against sound services, just as hurried: they must pass, or failing proves nothing."""
    names = sorted({case.test for case in CASES if case.language == language})
    with services.started("control") as settings:
        found = [suites.run_one(language, name, settings, PATIENCE) for name in names]
    return [suites.Result("control", f"{one.suite}: {one.name}", one.failure) for one in found]


def run():
    """All cases, a few at a time."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        controls = [pool.submit(control, language) for language in ("python", "js")]
        results = list(pool.map(check, CASES))
        for one in controls:
            results += one.result()
    return results
