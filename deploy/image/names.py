"""Whether a static binary finds hosts by name: a name server and a listener for one test, on loopback addresses.

Usage: names.py COMMAND...  Runs the command, and succeeds when it has asked for HOST and connected to what it was told.
Wants a network namespace of its own, where port 53 is free and nothing else can be reached.
"""

import socket
import struct
import subprocess
import sys
import threading

HOST = "contacts.servicebus.example"
SERVER = ("127.0.0.53", 53)
FOUND = ("127.0.0.9", 5671)
PATIENCE = 20.0


def answer(query: bytes) -> tuple[str, bytes]:
    """The name a query asks for, and the answer: FOUND for an A record of HOST, nothing for anything else."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    name = ".".join(labels)
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    known = name == HOST and kind == 1
    code = 0 if name == HOST else 3
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, int(known), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(FOUND[0])
    return name, head + query[12 : at + 5] + (record if known else b"")


def serve(server: socket.socket, asked: set[str]) -> None:
    """Answers for as long as the process lives."""
    while True:
        query, sender = server.recvfrom(512)
        name, reply = answer(query)
        asked.add(name)
        server.sendto(reply, sender)


def main() -> int:
    """Runs the command between both and says what it did."""
    asked: set[str] = set()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(SERVER)
    threading.Thread(target=serve, args=(server, asked), daemon=True).start()
    listener = socket.create_server(FOUND)
    listener.settimeout(PATIENCE)
    child = subprocess.Popen(sys.argv[1:])
    try:
        listener.accept()
    except TimeoutError:
        print(f"nobody connected to {FOUND}; asked for {sorted(asked)}, exit code {child.poll()}")
        return 1
    finally:
        child.kill()
        child.wait()
    print(f"{HOST} was looked up and reached")
    return 0 if HOST in asked else 1


if __name__ == "__main__":
    sys.exit(main())
