"""The processes of this run, so that none outlives it."""

import subprocess
from contextlib import contextmanager

# Seconds that a process gets to end in good form.
GRACE = 10

_running = set()
_ending = False


@contextmanager
def running(command, **options):
    """Starts a process; it is ended with the block, or earlier by `end_all`."""
    if _ending:
        raise RuntimeError("the run is being ended")
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, text=True, **options)
    _running.add(process)
    try:
        yield process
    finally:
        end(process)
        _running.discard(process)


def end(process):
    """Asks a process to end, and makes sure that it does."""
    process.terminate()
    try:
        process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def end_all():
    """Asks all processes to end and starts no more."""
    global _ending
    _ending = True
    for process in list(_running):
        process.terminate()
