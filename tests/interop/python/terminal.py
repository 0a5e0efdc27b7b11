"""A terminal that nobody looks at: a command runs in it, keys can be pressed, and its screen can be read."""

import codecs
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

# What a command must not know of whoever runs this.
HIDDEN = ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "RUST_LOG", "RUST_BACKTRACE")


class Terminal:
    """A command in a pseudo terminal of this size. To be used with `with`, which ends the command."""

    def __init__(self, command, columns=80, rows=24, environment=None, folder=None, patience=30):
        self.command = [str(part) for part in command]
        self.patience = patience
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # All that was written, with colours and movements.
        self.written = ""
        # The longest time in which nothing was written, in seconds.
        self.silence = 0.0
        self._last = time.monotonic()
        surroundings = {name: value for name, value in (environment or os.environ).items() if name not in HIDDEN}
        surroundings.update({"TERM": "xterm-256color", "LANG": "C.UTF-8"})
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # The leader of a session of its own, so that the terminal is its own and Ctrl-C reaches it.
        self.process = subprocess.Popen(
            self.command, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings, cwd=folder,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.end()
            except (AssertionError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        os.close(self.ours)

    def text(self):
        """What is on the screen, without what is empty at the end of lines and below."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def read(self, seconds):
        """Takes in what is written within this time; whether the command may write more."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.ours, 65536)
        except OSError as error:
            # How Linux tells that nobody holds the other end any more.
            if error.errno != errno.EIO:
                raise
            got = b""
        now = time.monotonic()
        self.silence, self._last = max(self.silence, now - self._last), now
        text = self.decoder.decode(got)
        self.written += text
        self.stream.feed(text)
        return bool(got)

    def until(self, *texts):
        """Waits until the screen shows all of these."""
        deadline = time.monotonic() + self.patience
        while not all(text in self.text() for text in texts):
            alive = self.read(0.05)
            assert alive and time.monotonic() < deadline, f"{texts} did not come to:\n{self.text()}"
        return self.text()

    def press(self, keys):
        """Types these."""
        os.write(self.ours, keys.encode())

    def end(self):
        """Waits for the end of the command, and gives its exit code."""
        deadline = time.monotonic() + self.patience
        while self.read(0.05):
            assert time.monotonic() < deadline, f"no end of:\n{self.text()}"
        return self.process.wait(timeout=self.patience)


def shown(command, **options):
    """Runs a command to its end: its exit code, and the terminal as it was left."""
    with Terminal(command, **options) as terminal:
        return terminal.end(), terminal
