"""Attacks on the network outside: with --network outbound, the host's own addresses, its loopback, its
links, metadata services of clouds, and other sandboxes; by every way that a program has to send.

Everything is in network namespaces of the test's own (lib/outer.py), where all of these are and answer.
Each attack is shown to work where the filter on the tap is off, or on the host of the namespaces.
"""

import subprocess

import pytest

from lib.outer import (FORBIDDEN4, FORBIDDEN6, HOST4, HOST4_MORE, HOST6, HOST_ANY4, OUTSIDE4, OUTSIDE6, PORT, WORLD4, Inside, Outer)
from lib.world import find_binary

# Sends to an address in one of the ways, and says ESCAPED when the other side answered. A way that
# names the device makes the kernel send without asking its routes.
ATTACK = r"""
import ctypes, errno, socket, struct, sys, time
way, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
six = ":" in address
family = socket.AF_INET6 if six or way == "mapped" else socket.AF_INET
index = socket.if_nametoindex("eth0")
target = ("::ffff:" + address if way == "mapped" else address, port)

def prepare(s):
    if way == "device":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    elif way == "unicast_if":
        if six: s.setsockopt(socket.IPPROTO_IPV6, 76, struct.pack("@i", socket.htonl(index)))
        else: s.setsockopt(socket.IPPROTO_IP, 50, struct.pack("@I", socket.htonl(index)))
    elif way == "dontroute":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    elif way == "scope":
        return (*target, 0, index)
    elif way == "source":
        s.bind(("2001:db8::2" if six else "192.0.2.2", 0))
    return target

try:
    if way in ("pktinfo", "udp", "broadcast"):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(1)
        control = []
        if way == "broadcast":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if way == "pktinfo" and six:
            control = [(socket.IPPROTO_IPV6, 50, socket.inet_pton(family, "2001:db8::2") + struct.pack("@I", index))]
        elif way == "pktinfo":
            control = [(socket.IPPROTO_IP, 8, struct.pack("@i4s4s", index, socket.inet_aton("192.0.2.2"), bytes(4)))]
        s.sendmsg([b"attack"], control, 0, target)
        print("ESCAPED:", s.recv(100))
    else:
        s = socket.socket(family)
        s.settimeout(1)
        s.connect(prepare(s))
        print("ESCAPED:", s.recv(100))
except OSError as e:
    print("HELD:", e)
"""
TCP_WAYS = ["plain", "device", "unicast_if", "dontroute", "source"]
TARGETS = [*FORBIDDEN4, *FORBIDDEN6, HOST4, HOST4_MORE, HOST_ANY4, HOST6]


@pytest.fixture(scope="module")
def outer(world, nothing_left_after_the_module):
    made = Outer(world)
    udp = [f"udp={a}" for a in [*FORBIDDEN4, *FORBIDDEN6, OUTSIDE4]]
    made.serve(made.world, "tcp=0.0.0.0", "tcp=::", *udp)
    made.serve(made.host, "tcp=0.0.0.0", "tcp=::", *(f"udp={a}" for a in (HOST4, HOST4_MORE, HOST6)), "dns=127.0.0.1")
    yield made
    made.close()


@pytest.fixture(params=["root", "user"])
def inside(request, outer, world, binary):
    return Inside(outer, world, binary, request.param)


@pytest.fixture
def weak(outer, world, binary):
    path = find_binary(world, "cloister-weak")
    assert path is not None, "build/bin/cloister-weak is not there: tools/build.sh weak"
    return Inside(outer, world, path, without=["network-filter"])


def attack(cloister, way, *addresses, port=PORT, opts=()):
    """The verdicts of one sandbox that tries all addresses at once."""
    script = 'code=$1; way=$2; port=$3; shift 3; for a; do python3 -S -c "$code" $way $a $port & done; wait'
    done = cloister.run("host", "sh", "-c", script, "sh", ATTACK, way, str(port), *addresses, opts=["--network", "outbound", *opts]).ok()
    verdicts = done.lines()
    assert len(verdicts) == len(addresses), done
    return verdicts


def all_held(verdicts):
    assert all(v.startswith("HELD: ") for v in verdicts), verdicts


def all_escaped(verdicts):
    assert all(v.startswith("ESCAPED: ") for v in verdicts), f"the attack does not work without its layer, so it proves nothing: {verdicts}"


@pytest.mark.parametrize("profile", ["strict", "build"])
@pytest.mark.parametrize("way", TCP_WAYS)
def test_closed_address_is_out_of_reach(inside, way, profile):
    all_held(attack(inside, way, *TARGETS, opts=["--profile", profile]))


@pytest.mark.parametrize("way", TCP_WAYS)
def test_closed_address_is_within_reach_without_the_filter(weak, way):
    """The host's own and what is on its link, of both families, by each way that leads outside."""
    all_escaped(attack(weak, way, *TARGETS))


@pytest.mark.parametrize("way", ["udp", "pktinfo"])
def test_no_datagram_reaches_a_closed_address(inside, way):
    all_held(attack(inside, way, *FORBIDDEN4, *FORBIDDEN6, HOST4, HOST4_MORE, HOST6))


@pytest.mark.parametrize("way", ["udp", "pktinfo"])
def test_datagrams_reach_closed_addresses_without_the_filter(weak, way):
    all_escaped(attack(weak, way, *FORBIDDEN4, *FORBIDDEN6))


def test_mapped_addresses_lead_nowhere(inside):
    all_held(attack(inside, "mapped", *FORBIDDEN4, HOST4))


def test_mapped_addresses_lead_out_without_the_filter(weak):
    all_escaped(attack(weak, "mapped", *FORBIDDEN4, HOST4))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "0.0.0.0", "::1", "::", "192.0.2.1", "2001:db8::1", "192.0.2.3"])
def test_hosts_loopback_is_out_of_reach(inside, address):
    """Nor by what pasta makes of it: its gateway, its resolver, ports that it would pass on (-T)."""
    all_held([v for way in ("plain", "device") for v in attack(inside, way, address)])


def test_broadcast_reaches_nobody(inside):
    all_held(attack(inside, "broadcast", "255.255.255.255", "10.9.0.255", "192.0.2.255", "224.0.0.1"))


def test_link_local_neighbour_is_out_of_reach(inside, outer):
    """Of the wire that the host is on, with the scope of our only device."""
    shown = subprocess.run([*outer.world.words(), "ip", "-6", "-o", "addr", "show", "dev", "out1", "scope", "link"], capture_output=True, text=True,
                           timeout=20, check=True).stdout
    address = shown.split()[3].partition("/")[0]
    all_held([v for way in ("scope", "device") for v in attack(inside, way, address)])


def test_what_is_outside_stays_reachable_by_all_ways(inside):
    """So that what was held above was held by the filter, and not by the way."""
    for way in ("plain", "device", "unicast_if", "source"):
        all_escaped(attack(inside, way, OUTSIDE4, OUTSIDE6, WORLD4))
    for way in ("udp", "pktinfo"):
        all_escaped(attack(inside, way, OUTSIDE4))


FROM_PORT = r"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 5353)); s.settimeout(1)
s.sendto(b"x", ("%s", %d))
try: s.recv(100); print("ESCAPED: it came from a service's port")
except OSError as e: print("HELD:", e)
""" % (OUTSIDE4, PORT)


def test_no_service_port_of_the_host_is_taken(inside):
    """pasta would bind the same port on the host, and pass on what comes there from anybody."""
    all_held(inside.run("host", "python3", "-c", FROM_PORT, opts=["--network", "outbound"]).ok().lines())


def test_service_port_of_the_host_is_taken_without_the_filter(weak):
    all_escaped(weak.run("host", "python3", "-c", FROM_PORT, opts=["--network", "outbound"]).ok().lines())


def test_fragments_and_options_go_nowhere(inside):
    code = f"""import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.setsockopt(socket.IPPROTO_IP, 4, bytes([1, 1, 1, 0]))  # IP_OPTIONS: no operations
s.sendto(b"x", ("{OUTSIDE4}", {PORT}))
try: s.recv(100); print("ESCAPED: with options")
except OSError as e: print("HELD:", e)"""
    all_held(inside.run("host", "python3", "-c", code, opts=["--network", "outbound"]).ok().lines())


SERVE = """
import socket
s = socket.create_server(("0.0.0.0", 7171)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 7171))
print("listening", flush=True)
s.accept(); print("somebody came", flush=True)
"""


def test_two_sandboxes_do_not_meet(inside, outer, world, binary):
    with inside.start("host", "python3", "-c", SERVE, opts=["--network", "outbound"]) as running:
        running.expect(b"listening")
        other = Inside(outer, world, binary, inside.identity)
        verdicts = attack(other, "plain", "192.0.2.2", HOST4, HOST6, "2001:db8::2", port=7171)
        all_held(verdicts)
        assert b"came" not in running.out
