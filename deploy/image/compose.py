"""Runs what compose.yaml describes without a container engine: compose.py EMULATOR WORKER COMPOSE

EMULATOR is the program of that service, WORKER the one that runs the image. Wants a network namespace of its own, as the
ports are fixed. Succeeds when the worker has become ready, by its own `health --ready`, and ends well on SIGTERM.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

import yaml

PATIENCE = 30.0


def local(path: str, mounts: list[str], folder: pathlib.Path) -> str:
    """Where a path of the container is on this machine."""
    for mount in mounts:
        source, target = mount.split(":")[:2]
        if path == target:
            return str(folder / source)
    return path


def main() -> int:
    """Starts both, asks, stops both."""
    emulator_program, worker_program, file = sys.argv[1:4]
    folder = pathlib.Path(file).resolve().parent
    services = yaml.safe_load(pathlib.Path(file).read_text())["services"]
    emulator, worker = services["emulator"], services["contactsync"]
    assert worker["network_mode"] == "service:emulator", "both share one network"
    command = [local(word, emulator.get("volumes", []), folder) for word in emulator["command"]]

    # Secrets lie under /run/secrets there, and here where they lie.
    secret = folder / yaml.safe_load(pathlib.Path(file).read_text())["secrets"]["graph"]["file"]
    variables = {key: str(value).replace("/run/secrets/graph", str(secret)) for key, value in worker["environment"].items()}
    environment = os.environ | variables | {"IMAGE_MOUNTS": str(secret.parent)}

    running = []
    try:
        running.append(subprocess.Popen([emulator_program, *command], stdout=subprocess.DEVNULL))
        running.append(subprocess.Popen([worker_program, "run"], env=environment))
        deadline = time.monotonic() + PATIENCE
        while True:
            asked = subprocess.run([worker_program, "health", "--ready"], env=environment, capture_output=True, text=True)
            if asked.returncode == 0:
                break
            assert time.monotonic() < deadline, f"never ready: {asked.stdout}{asked.stderr}"
            time.sleep(0.1)
        running[1].send_signal(signal.SIGTERM)
        code = running[1].wait(PATIENCE)
        assert code == 0, f"the worker ended with {code}"
        print(f"compose.yaml: the worker said {asked.stdout.strip()!r}, and ended well when it was told to")
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
