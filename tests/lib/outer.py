"""A host of the test's own: two network namespaces, so that nothing leaves this machine.

`host` is where cloister and pasta are started. It has the addresses that stand for the host's own,
and a default route to `world`, which has everything else: an ordinary server outside, clouds'
metadata services, another tenant. Servers run inside, as processes that this module's main is.
"""

import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from lib.runner import Cloister
from lib.world import command

PORT = 8080
WEB_PORT = 8081
RESOLVER_NAME = "service.test"
HOST4, HOST6, HOST4_MORE, HOST_ANY4 = "10.9.0.1", "2001:db8:9::1", "10.77.0.1", "10.88.1.2"
WORLD4, WORLD6 = "10.9.0.2", "2001:db8:9::2"
OUTSIDE4, OUTSIDE6, TENANT4 = "198.51.100.7", "2001:db8:77::7", "10.66.0.5"
# In world, where a real host would have them on its link.
FORBIDDEN4 = ["169.254.169.254", "169.254.7.7", "168.63.129.16", "100.100.100.200"]
FORBIDDEN6 = ["fd00:ec2::254", "fd20:ce::254", "fec0::5"]

HOST_SETUP = f"""ip link set lo up
ip link add out0 type veth peer name out1 netns $WORLD
ip addr add {HOST4}/24 dev out0
ip addr add {HOST4_MORE}/32 dev lo
ip route add local 10.88.0.0/16 dev lo
ip -6 addr add {HOST6}/64 dev out0 nodad
ip link set out0 up"""
WORLD_SETUP = f"""ip link set lo up
ip addr add {WORLD4}/24 dev out1
ip -6 addr add {WORLD6}/64 dev out1 nodad
ip link set out1 up
""" + "".join(f"ip addr add {a}/32 dev lo\n" for a in [OUTSIDE4, TENANT4, *FORBIDDEN4]) + \
    "".join(f"ip -6 addr add {a}/128 dev lo nodad\n" for a in [OUTSIDE6, *FORBIDDEN6]) + \
    f"ip route add default via {HOST4}\nip -6 route add default via {HOST6}\n"
HOST_ROUTES = f"ip route add default via {WORLD4}\nip -6 route add default via {WORLD6}\n"

# What cloister sees of the machine: /dev/net/tun as distributions have it, and resolvers of ours.
TUN = "mount -t tmpfs -o mode=755 tun /dev/net && mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun"
VIEW = f"""mount --make-rprivate / && mount --bind "$RESOLV" /etc/resolv.conf && {TUN} && eval "$MORE" && exec "$@" """


class Namespace:
    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo && exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.path = f"/proc/{self.keeper.pid}/ns/net"

    def words(self):
        return ["nsenter", f"--net={self.path}", "--"]

    def sh(self, script, **env):
        command(*self.words(), "sh", "-ec", script, env={**os.environ, **env})

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(10)
        self.keeper.stdout.close()


class Outer:
    def __init__(self, world, routes=True):
        self.host, self.world, self.servers = Namespace(), Namespace(), []
        self.host.sh(HOST_SETUP, WORLD=str(self.world.keeper.pid))
        self.world.sh(WORLD_SETUP)
        if routes:
            self.host.sh(HOST_ROUTES)
        self.resolv = world.directory("resolv") / "resolv.conf"
        self.set_resolver(WORLD4)

    def set_resolver(self, *addresses):
        self.resolv.write_text("search of-the-host.test\noptions ndots:3\n" + "".join(f"nameserver {a}\n" for a in addresses))
        self.resolv.chmod(0o644)

    def serve(self, where, *arguments):
        """A server in `host` or `world`; returns when it listens. It prints a line for each visitor."""
        server = subprocess.Popen([*where.words(), sys.executable, "-m", "lib.outer", *map(str, arguments)], cwd=Path(__file__).parents[1],
                                  stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        self.servers.append(server)
        if where is self.world:
            self.settle()
        return server

    def settle(self):
        """The first packet over a new link may wait a second for its neighbour: now, and not in a test."""
        knock = f"import socket\nfor a in ('{WORLD4}', '{WORLD6}'): socket.create_connection((a, {PORT}), 20).close()"
        command(*self.host.words(), sys.executable, "-c", knock)

    def close(self):
        for server in self.servers:
            server.stdin.close()
            server.wait(10)
            server.stdout.close()
        self.host.close()
        self.world.close()


class Inside(Cloister):
    """cloister as one identity, on the host of an Outer. `more` is a shell command in its mounts."""

    def __init__(self, outer, world, binary, identity="root", without=None, more="true"):
        super().__init__(world, binary, identity, without=without)
        self.outer, self.more = outer, more

    def prefix(self):
        return [*self.outer.host.words(), "env", f"RESOLV={self.outer.resolv}", f"MORE={self.more}", "unshare", "-m", "sh", "-c", VIEW, "view",
                *super().prefix()]


def _serve_tcp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, PORT))
    server.listen(64)

    def loop():
        while True:
            client, _ = server.accept()
            threading.Thread(target=_greet, args=(client,), daemon=True).start()
    return loop


def _greet(client):
    """A greeting; then whatever comes is counted, and the count sent back."""
    with client:
        try:
            client.sendall(b"hello from tcp\n")
            total = 0
            while data := client.recv(1 << 20):
                total += len(data)
            client.sendall(f"{total}\n".encode())
        except OSError:
            pass  # it left


class _Page(http.server.BaseHTTPRequestHandler):
    """What was asked for, in words."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{self.path} of {self.headers['Host']}\n".encode()
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _serve_web(address):
    return http.server.ThreadingHTTPServer((address, WEB_PORT), _Page).serve_forever


def _answer(query):
    """An A and no AAAA record for RESOLVER_NAME; nothing else exists."""
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    question = query[12:at + 5]
    known = ".".join(name) == RESOLVER_NAME
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(OUTSIDE4) if known and kind == 1 else b""
    return query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, bool(record), 0, 0) + question + record


def _serve_udp(address, port, answer):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))

    def loop():
        while True:
            data, sender = server.recvfrom(65536)
            server.sendto(answer(data), sender)
    return loop


def main(kinds):
    loops = []
    for kind in kinds:
        what, _, address = kind.partition("=")
        if what == "tcp":
            loops.append(_serve_tcp(address))
        elif what == "udp":
            loops.append(_serve_udp(address, PORT, lambda data: b"echo " + data))
        elif what == "web":
            loops.append(_serve_web(address))
        else:
            loops.append(_serve_udp(address, 53, _answer))
    for loop in loops:
        threading.Thread(target=loop, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
