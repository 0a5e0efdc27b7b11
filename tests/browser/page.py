"""The status page as the worker serves it, in a headless browser, with what it asks for (status.json) made up."""

import contextlib
import functools
import http.server
import json
import subprocess
import tempfile
import threading
from pathlib import Path

from states import NOW, STATES, status

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "worker/src/status_page/page.html"
CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]
# For the page it is always that moment, so that every run shows the same.
CLOCK = f"""<script>
Date = class extends Date {{
  constructor(...parts) {{ super(...(parts.length ? parts : ["{NOW}"])); }}
  static now() {{ return Date.parse("{NOW}"); }}
}};
</script>"""
# What the browser says it prefers.
SCHEMES = {"dark": 0, "light": 1}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site(script="", files=()):
    """Serves the page in each state under /STATE/, with a script at its end and files beside it. Gives the root."""
    with tempfile.TemporaryDirectory() as folder:
        for state in STATES:
            place = Path(folder, state)
            place.mkdir()
            page = PAGE.read_text().replace("<script>", CLOCK + "<script>", 1).replace("</body>", script + "</body>")
            (place / "index.html").write_text(page)
            (place / "status.json").write_text(json.dumps(status(state)))
            for file in files:
                (place / file.name).write_bytes(file.read_bytes())
        serve = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()


def browse(url, size, scheme, *what):
    """Opens a page; returns what the browser printed."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *CHROMIUM, f"--user-data-dir={profile}", f"--window-size={size}", "--virtual-time-budget=12000",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", *what, url,
        ]
        done = subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.decode()
