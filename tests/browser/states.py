"""An hour of example data for the status page, in each of its states."""

import math
import random

STEP = 10
NOW = "2026-11-26T04:30:00Z"

# What is tried again, and when, where that is known. The time is that of NEXT.
NEXT = "2026-11-26T04:30:40Z"
TRIED_AGAIN = ("paused", "trial", "breaker_open")
FAULTS = {
    "paused": (
        "intake",
        "intake is paused, the installation is at fault: there is no token for graph: the token endpoint answered 401 "
        "invalid_client (AADSTS7000222)",
        "mend [identity]: tenant, client_id and the credential; a file that is replaced is read anew; the worker tries "
        "again by itself, messages stay in the queue",
    ),
    "trial": (
        "intake",
        "graph can be reached again, and writes fail; one at a time is tried; the last: 503 ServiceUnavailable, 24 times since "
        "2026-11-26T04:18:02Z: graph answered 503",
        "see whether graph or the way to it is disturbed; the worker goes on by itself when a write succeeds",
    ),
    "breaker_open": (
        "breaker",
        "writes of many users failed in a row; one at a time is tried; the last: 503 ServiceUnavailable, 24 times since "
        "2026-11-26T04:18:02Z: graph answered 503",
        "see whether graph or the way to it is disturbed; the worker goes on by itself when a write succeeds",
    ),
    "broker_away": (
        "broker",
        "no link to the queue since 2026-11-26T04:18:02Z: the name contoso.servicebus.windows.net cannot be resolved",
        "see that the namespace can be reached and that its key or role is right; the worker tries again by itself",
    ),
}
WARNING = {
    "name": "clock_skew", "ok": False, "says": "the clock of this machine is 45 s behind that of Graph",
    "remedy": "let the machine keep its clock by the network", "since": "2026-11-26T01:00:00Z",
}
# Name of the picture: state, dead letters, warnings.
STATES = {
    "healthy": ("open", 0, []),
    "dead_letters": ("open", 37, [WARNING]),
    "throttled": ("throttled", 0, []),
    "standby": ("standby", 0, []),
    "paused": ("paused", 37, []),
    "trial": ("trial", 37, []),
    "breaker_open": ("breaker_open", 37, []),
    "broker_away": ("broker_away", 0, []),
}


def bump(age, centre, width, height):
    return height * math.exp(-(((age - centre) / width) ** 2))


def history(well):
    chance = random.Random(4)
    ages = range(3600, 0, -STEP)
    active, settled, total = [], [], 0
    for age in ages:
        waiting = bump(age, 2500, 450, 900) + bump(age, 1000, 150, 160) + chance.uniform(0, 9)
        rate = 6 + 2 * math.sin(age / 300) + 6 * waiting / 900
        if not well and age < 600:
            waiting += (600 - age) * 1.9
            rate = 0
        active.append(int(waiting))
        total += int(rate * STEP)
        settled.append(total)
    return {
        "stepSeconds": STEP,
        "ageSeconds": list(ages),
        "active": active,
        "deadLetter": [37] * len(ages),
        "settled": settled,
        "writes": settled,
    }


def status(name):
    state, dead, warnings = STATES[name]
    fault = FAULTS.get(state)
    past = history(fault is None)
    checks = [
        {"name": check, "ok": not fault or check != fault[0], "says": fault[1] if fault and check == fault[0] else None,
         "remedy": fault[2] if fault and check == fault[0] else None,
         "since": "2026-11-26T04:18:02Z" if fault and check == fault[0] else None,
         "nextTry": NEXT if state in TRIED_AGAIN and check == fault[0] else None}
        for check in ("worker", "broker", "token", "intake", "link", "lease", "breaker")
    ]
    reasons = {"UserNotFound": 21, "ValueInvalid": 9, "UserLinkInvalid": 5, "none given": 2} if dead else {}
    last = {
        "status": 503, "code": "ServiceUnavailable", "says": "graph answered 503", "count": 24,
        "since": "2026-11-26T04:18:02Z", "at": "2026-11-26T04:29:48Z", "over": False,
    }
    return {
        "version": "0.1.0", "queue": "contacts", "started": "2026-11-24T06:00:00Z", "now": NOW, "state": state,
        "level": "amber" if state == "trial" else "red" if fault else "amber" if dead or warnings else "green", "ready": fault is None,
        "role": "standby" if state == "standby" else "writer", "checks": checks, "warnings": warnings,
        "heldUntil": "2026-11-26T04:30:40Z" if state == "throttled" else None,
        "lastError": last if state in ("breaker_open", "trial") else {**last, "over": True} if dead else None,
        "rates": {"received": 0 if fault else 6.4, "settled": 0 if fault else 6.4, "writes": 0.3 if fault else 3.1},
        "received": 1184223,
        "outcomes": {"applied": 902113, "stale": 211, "unchanged": 281500, "dead_lettered": 37, "returned": 362},
        "needless": {"not-a-portal-user": 270010, "nothing-mapped": 9040, "same-as-before": 2450},
        "deadLetters": reasons,
        "deadLettersNow": {"at": "2026-11-26T04:29:10Z", "reasons": reasons, "more": False},
        "runbook": "https://wiki.contoso.example/contactsync/runbook.md",
        "sinceSuccessSeconds": {
            "service_bus": 720 if state == "broker_away" else 0, "graph": 718 if fault else 1, "token": 718 if fault else 1,
            "dataverse": None,
        },
        "writes": {
            "calls": 398220, "throttledCalls": 212, "accepted": 397011, "changes": 902113, "throttledSeconds": 840,
            "budgetRatio": 0.49 if fault else 1.0, "budgetPerSecond": 9.8 if fault else 20.0,
        },
        "inFlight": 0 if fault else 4, "held": 0 if state == "paused" else 6, "lanesWaiting": 5, "locksLost": 0,
        "queueNow": {
            "active": past["active"][-1], "deadLetter": dead, "scheduled": 12, "transfer": 0, "sizeBytes": 90210,
            "oldestAgeSeconds": 598 if fault else 1, "lowerBound": False,
        },
        "history": past,
    }
