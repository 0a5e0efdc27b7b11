"""Runs what compose.yaml describes without a container engine: compose.py EMULATOR WORKER COMPOSE

EMULATOR is the program of that service, WORKER the one that runs the image. Wants a network namespace of its own, as the
ports are fixed. Succeeds when both replicas have become ready, by their own `health --ready`, exactly one of them writes, the
other one takes over when the first is told to stop, and both end well on SIGTERM.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import typing
import urllib.request

import yaml

PATIENCE = 30.0

# What is asked is on this machine, whatever proxy it uses otherwise.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Answer = typing.TypeVar("Answer")


def local(path: str, mounts: list[str], folder: pathlib.Path) -> str:
    """Where a path of the container is on this machine."""
    for mount in mounts:
        source, target = mount.split(":")[:2]
        if path == target:
            return str(folder / source)
    return path


def until(what: str, question: typing.Callable[[], Answer]) -> Answer:
    """Asks until the answer is neither empty nor false."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)
    return answer


class Replica:
    """A service of the file that runs the worker."""

    def __init__(self, name: str, program: str, service: dict, secret: pathlib.Path) -> None:
        assert service["network_mode"] == "service:emulator", "all share one network"
        variables = {
            key: str(value).replace("/run/secrets/graph", str(secret)) for key, value in service["environment"].items()
        }
        self.name, self.program = name, program
        self.environment = os.environ | variables | {"IMAGE_MOUNTS": str(secret.parent)}
        self.listens = variables.get("CONTACTSYNC__HTTP__LISTEN", "127.0.0.1:9464")
        self.process = subprocess.Popen([program, "run"], env=self.environment)

    def ready(self) -> str:
        """What it says of itself, if it is ready."""
        asked = subprocess.run([self.program, "health", "--ready"], env=self.environment, capture_output=True, text=True)
        return asked.stdout.strip() or "ready" if asked.returncode == 0 else ""

    def role(self) -> str:
        """Whether it writes or stands by, by its metrics; empty while they cannot be had."""
        try:
            with DIRECTLY.open(f"http://{self.listens}/metrics", timeout=PATIENCE) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return ""
        held = [line for line in lines if line.startswith("contactsync_replica_role{") and line.endswith(" 1")]
        return re.search(r'role="(\w+)"', held[0])[1] if held else ""

    def stop(self) -> None:
        """Tells it to stop and waits until it has."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        assert code == 0, f"{self.name} ended with {code}"


def main() -> int:
    """Starts all, asks, stops all."""
    emulator_program, worker_program, file = sys.argv[1:4]
    folder = pathlib.Path(file).resolve().parent
    described = yaml.safe_load(pathlib.Path(file).read_text())
    services = described["services"]
    emulator = services["emulator"]
    command = [local(word, emulator.get("volumes", []), folder) for word in emulator["command"]]
    # Secrets lie under /run/secrets there, and here where they lie.
    secret = folder / described["secrets"]["graph"]["file"]

    running = [subprocess.Popen([emulator_program, *command], stdout=subprocess.DEVNULL)]
    try:
        both = []
        for name in ("contactsync", "standby"):
            both.append(Replica(name, worker_program, services[name], secret))
            running.append(both[-1].process)
        for replica in both:
            until(f"{replica.name} is ready", replica.ready)

        def parted() -> list[Replica]:
            """The writer and the one that stands by, once it is settled."""
            by_role = {replica.role(): replica for replica in both}
            return [by_role["writer"], by_role["standby"]] if by_role.keys() == {"writer", "standby"} else []

        first, second = until("one writes and one stands by", parted)
        first.stop()
        until(f"{second.name} takes over from {first.name}", lambda: second.role() == "writer")
        second.stop()
        print(f"compose.yaml: {first.name} wrote and {second.name} took over, and both ended well when they were told to")
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
