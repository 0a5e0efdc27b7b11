"""Pictures of the status page in three states, wide and on a phone, with an hour of example data.

The page is the one that the worker serves; only what it asks for (status.json) is made up here. Writes to
deploy/status-page/. Called by deploy/screenshots.sh.
"""

import functools
import http.server
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "worker/src/status_page/page.html"
PICTURES = ROOT / "deploy/status-page"
SIZES = {"wide": "1100,1060", "phone": "390,2080"}
STEP = 10

FAULTS = {
    "paused": (
        "intake",
        "intake is paused, the installation is at fault: there is no token for graph: the token endpoint answered 401 "
        "invalid_client (AADSTS7000222)",
        "mend [identity]; the worker tries again by itself, messages stay in the queue",
    ),
    "breaker_open": (
        "breaker",
        "writes of many users failed in a row; one at a time is tried",
        "see whether graph or the way to it is disturbed; the worker goes on by itself when a write succeeds",
    ),
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


def status(state):
    fault = FAULTS.get(state)
    past = history(fault is None)
    checks = [
        {"name": name, "ok": not fault or name != fault[0], "says": fault[1] if fault else None,
         "remedy": fault[2] if fault else None}
        for name in ("worker", "broker", "token", "intake", "breaker")
    ]
    return {
        "version": "0.1.0", "queue": "contacts", "started": "2026-11-24T06:00:00Z", "now": "2026-11-26T04:30:00Z",
        "state": state, "ready": fault is None, "checks": checks,
        "rates": {"received": 0 if fault else 6.4, "settled": 0 if fault else 6.4, "writes": 0.3 if fault else 3.1},
        "received": 1184223,
        "outcomes": {"applied": 902113, "stale": 211, "unchanged": 281500, "dead_lettered": 37, "returned": 362},
        "needless": {"not-a-portal-user": 270010, "nothing-mapped": 9040, "same-as-before": 2450},
        "deadLetters": {"UserNotFound": 21, "ValueInvalid": 9, "UserLinkInvalid": 5, "BodyUndecodable": 2},
        "writes": {
            "calls": 398220, "throttledCalls": 212, "accepted": 397011, "changes": 902113, "throttledSeconds": 840,
            "budgetRatio": 0.49 if fault else 1.0, "budgetPerSecond": 9.8 if fault else 20.0,
        },
        "inFlight": 0 if fault else 4, "held": 0 if state == "paused" else 6, "lanesWaiting": 5, "locksLost": 0,
        "queueNow": {
            "active": past["active"][-1], "deadLetter": 37, "scheduled": 12, "transfer": 0, "sizeBytes": 90210,
            "oldestAgeSeconds": 598 if fault else 1, "lowerBound": False,
        },
        "history": past,
    }


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def picture(url, size, path):
    with tempfile.TemporaryDirectory() as profile:
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={profile}", f"--window-size={size}", "--virtual-time-budget=6000",
            f"--screenshot={path}", url,
        ]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        serve = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for state in ("open", *FAULTS):
                place = Path(folder, state)
                place.mkdir()
                (place / "index.html").write_bytes(PAGE.read_bytes())
                (place / "status.json").write_text(json.dumps(status(state)))
                for name, size in SIZES.items():
                    path = PICTURES / f"{'healthy' if state == 'open' else state}-{name}.png"
                    picture(f"http://127.0.0.1:{server.server_address[1]}/{state}/index.html", size, path)
                    print(path.relative_to(ROOT), path.stat().st_size, "bytes")
            server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
