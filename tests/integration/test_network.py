"""--network outbound: what works, who carries it, how it ends, what it asks of the host.

Everything is in network namespaces of the test's own (lib/outer.py). What must be out of reach is
attacked in tests/escape/test_escape_network.py.
"""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lib.outer import (HOST4, HOST4_MORE, HOST6, OUTSIDE4, OUTSIDE6, PORT, RESOLVER_NAME, TENANT4, WORLD4, WORLD6, Inside,
                       Outer)
from lib.patience import patience
from lib.runner import alive, descendants, descriptors, poll, text

OUTBOUND = ["--network", "outbound"]
CLIENT = r"""
import socket, sys
what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM if what == "tcp" else socket.SOCK_DGRAM)
client.settimeout(10)
client.connect((address, port))
if what == "udp":
    client.send(b"packet")
print(client.recv(100).decode().strip())
"""


@pytest.fixture(scope="module")
def outer(world, nothing_left_after_the_module):  # before that looks, this is gone
    made = Outer(world)
    made.serve(made.world, "tcp=0.0.0.0", "tcp=::", f"udp={OUTSIDE4}", f"udp={OUTSIDE6}", f"dns={WORLD4}", f"dns={WORLD6}")
    made.serve(made.host, "tcp=0.0.0.0", "tcp=::", "dns=127.0.0.53")
    yield made
    made.close()


@pytest.fixture(params=["root", "user"])
def inside(request, outer, world, binary):
    outer.set_resolver(WORLD4)
    return Inside(outer, world, binary, request.param)


@pytest.fixture
def as_root_inside(outer, world, binary):
    outer.set_resolver(WORLD4)
    return Inside(outer, world, binary)


def python(cloister, code, *arguments, opts=(), **options):
    return cloister.run("host", "python3", "-c", code, *map(str, arguments), opts=[*OUTBOUND, *opts], **options)


@pytest.mark.parametrize("profile", ["strict", "build"])
@pytest.mark.parametrize("address", [WORLD4, OUTSIDE4, TENANT4, WORLD6, OUTSIDE6])
def test_what_is_outside_is_reached(inside, profile, address):
    done = python(inside, CLIENT, "tcp", address, PORT, opts=["--profile", profile]).ok()
    assert done.word() == "hello from tcp"
    assert {"netns", "network-filter"} <= set(done.result["layers"])


@pytest.mark.parametrize("address", [OUTSIDE4, OUTSIDE6])
def test_datagrams_come_back(inside, address):
    assert python(inside, CLIENT, "udp", address, PORT).ok().word() == "echo packet"


@pytest.mark.parametrize("profile", ["strict", "build"])
def test_names_are_found(inside, profile):
    code = "import socket; print(socket.gethostbyname('%s'))" % RESOLVER_NAME
    assert python(inside, code, opts=["--profile", profile]).ok().word() == OUTSIDE4


@pytest.mark.parametrize("resolver", ["127.0.0.53", WORLD6])
def test_names_are_found_by_any_resolver_of_the_host(inside, outer, resolver):
    outer.set_resolver(resolver)
    code = "import socket; print(socket.gethostbyname('%s'))" % RESOLVER_NAME
    assert python(inside, code).ok().word() == OUTSIDE4


def test_a_name_that_is_none_is_told_at_once(inside):
    code = "import socket\ntry: socket.gethostbyname('nobody.test')\nexcept socket.gaierror as e: print(e.errno)"
    done = python(inside, code).ok()
    assert done.word() == str(socket.EAI_NONAME)
    assert done.seconds < patience(5)


def test_resolv_conf_is_ours(inside, outer):
    show = lambda: inside.run("host", "cat", "/etc/resolv.conf", opts=OUTBOUND).ok().out
    assert show() == b"nameserver 192.0.2.3\n"
    outer.set_resolver(WORLD4, WORLD6)
    assert show() == b"nameserver 192.0.2.3\nnameserver 2001:db8::3\n"
    outer.set_resolver()
    assert show() == b""


def test_an_image_gets_a_resolv_conf(inside, rootfs):
    """Where it has none, also read-only."""
    assert not (Path(str(rootfs).removeprefix("rootfs:")) / "etc/resolv.conf").exists()
    assert inside.run(rootfs, "cat", "/etc/resolv.conf", opts=OUTBOUND).ok().out == b"nameserver 192.0.2.3\n"
    assert inside.run(rootfs, "nslookup", RESOLVER_NAME, opts=OUTBOUND).ok().out.count(OUTSIDE4.encode()) == 1
    assert not (Path(str(rootfs).removeprefix("rootfs:")) / "etc/resolv.conf").exists()


def test_none_is_as_it_was(inside, rootfs):
    done = inside.run(rootfs, "sh", "-c", "ls /etc; cat /proc/net/dev")
    assert b"resolv.conf" not in done.out and b"eth0" not in done.out
    assert "network-filter" not in done.result["layers"]


def test_the_command_cannot_change_the_network(inside):
    code = """import socket, fcntl, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for request, flags in ((0x8914, 1), (0x8922, 1400)):
    try: print(fcntl.ioctl(s, request, struct.pack('16sH14x', b'eth0', flags)))
    except OSError as e: print(e.errno)"""
    assert python(inside, code, opts=["--profile", "build"]).ok().lines() == ["1", "25"]  # EPERM by the kernel, ENOTTY by the filter


# nothing comes in

LISTENER = """
import socket, sys
four, six = socket.create_server(("0.0.0.0", 7070)), socket.create_server(("::", 7070), family=socket.AF_INET6)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("0.0.0.0", 7070))
udp.sendto(b"here I am", ("%s", 8080))  # a service's port: nobody learns of it
print("listening", flush=True)
for s in (four, six, udp): s.settimeout(0.1)
sys.stdin.read()
for s in (four, six):
    try: s.accept(); print("somebody came")
    except TimeoutError: pass
try: print("a packet came", udp.recv(100))
except TimeoutError: pass
print("done")
""" % OUTSIDE4
KNOCK = """
import socket, sys
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    u = socket.socket(family, socket.SOCK_DGRAM); u.sendto(b"knock", (address, 7070))
    s = socket.socket(family); s.settimeout(0.3)
    try: s.connect((address, 7070)); print("in by", address)
    except OSError: pass
"""


def test_nothing_comes_in(inside, outer):
    with inside.start("host", "python3", "-c", LISTENER, opts=OUTBOUND) as running:
        running.expect(b"listening")
        for where in (outer.host, outer.world):
            done = subprocess.run([*where.words(), "python3", "-c", KNOCK, "127.0.0.1", "::1", HOST4, HOST6, HOST4_MORE, "192.0.2.2",
                                   "2001:db8::2"], capture_output=True, text=True, timeout=30)
            assert "in by" not in done.stdout, done
        running.close_stdin()
        assert running.wait().ok().lines() == ["listening", "done"]


# opening

@pytest.mark.parametrize("address,reach", [("169.254.169.254", "169.254.169.254"), (HOST4, "10.9.0.0/24"), ("fd00:ec2::254", "fd00:ec2::/32"),
                                           (HOST4_MORE, "10.77.0.1/32")])
def test_the_policy_opens_what_it_names(inside, address, reach):
    assert python(inside, CLIENT, "tcp", address, PORT, opts=["--network-reach", reach]).ok().word() == "hello from tcp"
    policy = inside.directory("policy") / "p.yaml"
    policy.write_text(f"network: outbound\nnetwork_reach: [192.168.0.0/16, \"{reach}\"]\n")
    assert inside.run("host", "python3", "-c", CLIENT, "tcp", address, PORT, opts=["--policy", policy]).ok().word() == "hello from tcp"


@pytest.mark.parametrize("opts,needle", [
    (["--network-reach", "10.0.0.0/8"], "network_reach opens addresses of network outbound"),
    ([*OUTBOUND, "--network-reach", "10.0.0.1/8"], "network-reach: \"10.0.0.1/8\" has bits beyond its first 8"),
    ([*OUTBOUND, "--network-reach", "metadata"], "network-reach: \"metadata\" is no address")])
def test_what_cannot_be_opened_is_refused(as_root_inside, opts, needle):
    as_root_inside.run("host", "true", opts=opts).refused(re.escape(needle))


def test_a_policy_says_where_its_mistake_is(as_root_inside):
    policy = as_root_inside.directory("policy") / "p.yaml"
    policy.write_text("network: outbound\nnetwork_reach:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n")
    as_root_inside.run("host", "true", opts=["--policy", policy]).refused(r"p\.yaml:4", r"network_reach\[1\]", "10.0.0.0/33")


# who carries it

def pasta_of(running):
    found = [pid for pid in descendants(running.pid) if Path(f"/proc/{pid}/comm").read_text().startswith(("pasta", "passt"))]
    assert len(found) == 1, found
    return found[0]


def instead(program):
    """A shell command for `more`: that program is pasta, in the other place, for which AppArmor has no policy."""
    return f"mount -t tmpfs local /usr/local/bin && cp {program} /usr/local/bin/pasta && mount --bind /dev/null /usr/bin/passt"


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


@pytest.fixture
def sleeper(inside):
    with inside.start("host", "sh", "-c", "echo started; exec sleep 60", opts=OUTBOUND) as running:
        running.expect(b"started\n")
        yield running


@pytest.mark.parametrize("family", [4, 6])
def test_what_pasta_lost_is_sent_again_soon(sleeper, family):
    """The whole of the route, as src/net/route.c makes it."""
    def network(pid):
        return os.stat(f"/proc/{pid}/ns/net").st_ino

    own = next(pid for pid in descendants(sleeper.pid) if network(pid) != network(sleeper.pid))
    shown = subprocess.run(["nsenter", f"--net=/proc/{own}/ns/net", "ip", f"-{family}", "route", "show", "default"], capture_output=True, text=True, check=True)
    metric = " metric 1024" if family == 6 else ""
    assert [" ".join(line.split()) for line in shown.stdout.replace(" pref medium", "").splitlines()] \
        == [f"default dev eth0{' scope link' if family == 4 else ''}{metric} rto_min lock 5ms"]


def test_pasta_has_nothing_of_the_hosts(inside, sleeper):
    pid = pasta_of(sleeper)
    seen = status(pid)
    uids, groups = set(seen["Uid"].split()), seen["Groups"].split()
    if inside.identity == "root":
        assert uids.isdisjoint({"0", str(inside.world.user.pw_uid)}) and groups == [], seen
    else:
        assert uids == {str(inside.uid)}
    assert seen["NoNewPrivs"] == "1" and seen["Seccomp"] == "2"
    assert os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino
    assert os.listdir(f"/proc/{pid}/root") == []
    links = set(descriptors(pid).values())
    assert not [link for link in links if link.startswith("/") and link != "/dev/net/tun"], links
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    assert os.getsid(pid) == pid


def test_pasta_ends_with_the_sandbox(sleeper):
    pid = pasta_of(sleeper)
    sleeper.signal(signal.SIGTERM)
    assert sleeper.wait().exit == 143
    assert not alive(pid)


def test_pasta_dies_with_the_supervisor(sleeper):
    everything = descendants(sleeper.pid)
    assert pasta_of(sleeper) in everything and len(everything) >= 3
    sleeper.signal(signal.SIGKILL)
    sleeper.wait()
    poll(lambda: not [pid for pid in everything if alive(pid)], 10, lambda: f"left behind: {[p for p in everything if alive(p)]}")


def test_pasta_dies_without_the_parent_death_signal(outer, world, binary):
    """AppArmor's policy for pasta takes it back, as this does."""
    between = world.directory("between") / "pasta"
    between.write_text("#!/usr/bin/python3 -I\nimport ctypes, os, signal, sys\nassert ctypes.CDLL(None).prctl(1, 0) == 0\n"
                       "for one in (signal.SIGPIPE, signal.SIGXFSZ): signal.signal(one, signal.SIG_DFL)\n"
                       "os.execv('/dev/net/pasta', ['pasta', *sys.argv[1:]])\n")
    between.chmod(0o755)
    outer.set_resolver(WORLD4)
    inside = Inside(outer, world, binary, more=f"cp /usr/bin/passt /dev/net/pasta && cp /usr/bin/passt.avx2 /dev/net/pasta.avx2 && {instead(between)}")
    with inside.start("host", "sh", "-c", "echo started; exec sleep 60", opts=OUTBOUND) as running:
        running.expect(b"started\n")
        pid = pasta_of(running)
        running.signal(signal.SIGKILL)
        running.wait()
        poll(lambda: not alive(pid), 10, "pasta lives on")


def test_the_sandbox_goes_on_when_pasta_dies(inside):
    """Without a network, and never without the wall."""
    code = CLIENT.replace("import socket, sys", """import socket, sys, time
print("started", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 10
while "eth0" in open("/proc/net/dev").read() and time.monotonic() < deadline: time.sleep(0.01)""")
    with inside.start("host", "python3", "-c", code, "tcp", OUTSIDE4, PORT, opts=OUTBOUND) as running:
        running.expect(b"started\n")
        os.kill(pasta_of(running), signal.SIGKILL)
        running.send(b"\n")
        done = running.wait()
    assert done.exit == 1 and b"Network is unreachable" in done.err, done
    assert done.result["status"] == "exited"


def test_many_starts_and_ends_leave_nothing(inside, world):
    before = world.processes()
    for _ in range(5):
        inside.run("host", "true", opts=OUTBOUND).ok()
    assert world.processes() <= before


# what it asks of the host

@pytest.mark.parametrize("more,needles", [
    ("mount --bind /dev/null /usr/bin/passt", ["pasta, which is not installed", "install the package passt"]),
    ("rm /dev/net/tun", ["/dev/net/tun", "modprobe tun"])], ids=["no-pasta", "no-tun"])
def test_what_is_missing_is_told(outer, world, binary, more, needles):
    cloister = Inside(outer, world, binary, more=more)
    cloister.run("host", "true", opts=OUTBOUND).refused(*needles)
    cloister.run("host", "true").ok()
    found = json.loads(cloister.call("doctor", "--format", "json").out)
    row = next(check for check in found["checks"] if check["name"] == "network outbound")
    assert row["state"] == "absent" and re.search(needles[0], row["why"]) and re.search(needles[1], row["cure"]), row


def test_a_device_that_is_closed_is_told(outer, world, binary):
    cloister = Inside(outer, world, binary, "user", more="chmod 600 /dev/net/tun")
    cloister.run("host", "true", opts=OUTBOUND).refused("/dev/net/tun", "chmod 0666")
    # root needs no such thing
    assert python(Inside(outer, world, binary, more="chmod 600 /dev/net/tun"), CLIENT, "tcp", OUTSIDE4, PORT).ok()


def test_pasta_that_fails_is_told(outer, world, binary):
    """A program that ends without having carried anything: no run without the network."""
    fake = world.directory("fake") / "pasta"
    for script, needle in (("echo no such luck >&2; exit 1", "pasta: no such luck"), ("exit 0", "pasta ended without a word")):
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        Inside(outer, world, binary, more=instead(fake)).run("host", "true", opts=OUTBOUND).refused(needle)


def test_a_host_without_a_way_out_is_told(world, binary):
    lonely = Outer(world, routes=False)
    try:
        Inside(lonely, world, binary).run("host", "true", opts=OUTBOUND).refused("no default route")
    finally:
        lonely.close()


def test_doctor_says_that_it_works(inside):
    found = json.loads(inside.call("doctor", "--format", "json").out)
    row = next(check for check in found["checks"] if check["name"] == "network outbound")
    assert row["state"] == "works" and "IPv4 and IPv6" in row["why"], row


@pytest.mark.parametrize("family,works,fails", [(4, OUTSIDE4, OUTSIDE6), (6, OUTSIDE6, OUTSIDE4)])
def test_a_host_of_one_family(world, binary, family, works, fails):
    """The other family fails at once and isn't waited for."""
    single = Outer(world, routes=False)
    try:
        single.host.sh("ip route add default via " + WORLD4 if family == 4 else "ip -6 route add default via " + WORLD6)
        single.serve(single.world, "tcp=0.0.0.0", "tcp=::")
        cloister = Inside(single, world, binary)
        assert python(cloister, CLIENT, "tcp", works, PORT).ok().word() == "hello from tcp"
        done = python(cloister, CLIENT, "tcp", fails, PORT)
        assert b"unreachable" in done.err, text(done.err)
    finally:
        single.close()
