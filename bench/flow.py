"""One stream of bytes over TCP, timed by its client, for bench/outbound.py.

usage: flow.py serve | flow.py receive|send ADDRESS BYTES

A client says what it wants and how much, and prints the seconds from its connection to the last byte,
which a server that received confirms.
"""

import socket
import sys
import threading
import time

PORT, PIECE = 9000, 1 << 18
PATIENCE_S = 60  # a stream that stands still for so long has failed


def receive(peer, left):
    piece = bytearray(PIECE)
    while left > 0:
        got = peer.recv_into(piece, min(left, PIECE))
        if got == 0:
            raise OSError("the stream ended early")
        left -= got


def send(peer, left):
    piece = memoryview(bytes(PIECE))
    while left > 0:
        left -= peer.send(piece[:min(left, PIECE)])


def answer(peer):
    with peer:
        words = peer.makefile("rb", buffering=0).readline().split()
        if words[0] == b"receive":
            send(peer, int(words[1]))
        else:
            receive(peer, int(words[1]))
            peer.sendall(b".")


def serve():
    with socket.create_server(("0.0.0.0", PORT)) as server:
        print("ready", flush=True)
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()


def measure(what, address, count):
    with socket.create_connection((address, PORT), PATIENCE_S) as peer:
        began = time.monotonic()
        peer.sendall(f"{what} {count}\n".encode())
        if what == "receive":
            receive(peer, count)
        else:
            send(peer, count)
            receive(peer, 1)
        return time.monotonic() - began


if __name__ == "__main__":
    try:
        print(serve() if sys.argv[1] == "serve" else measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except OSError as error:
        sys.exit(f"flow: {error}")
