"""A code-analysis service, as docs/jobs.md has it: jobs of two tenants side by side.

The repositories are served on the host of lib/outer.py by git's own backend, at an address of the host
itself, which `outbound` closes and the jobs' policy opens. The image is Debian with git, a compiler and
Python, in a store of the test's own.
"""

import json
import os
import shutil

import pytest

from lib.git_server import GitServer, make_repository
from lib.jobs import Job, statuses, steps
from lib.outer import HOST4, WORLD4, Inside, Outer
from lib.real_image import TAG, real_image

GIT_PORT = 8081
PORTS = {"red": 7001, "blue": 7002}
MAKEFILE = "count: count.c\n\tcc -O1 -Wall -o count count.c\n"
PROGRAM = r"""
#include <stdio.h>
int main(void)
{
    int lines = 0, c;
    while ((c = getchar()) != EOF)
        lines += c == '\n';
    printf("{\"lines\": %d}\n", lines);
    return 0;
}
"""
# What a tenant has, each thing in a place of its own kind, and a look for it.
SHARED = r"""
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def key(name): return int.from_bytes(name.encode(), "big") & 0x7fffffff
def cache(): return os.path.expanduser("~/.cache/toolchain")
"""
PRESENT = SHARED + r"""
name, port = sys.argv[1], int(sys.argv[2])
open(f"/work/secret-of-{name}", "w").write("secret\n")
open(f"/dev/shm/{name}", "w").write("secret\n")
os.makedirs(cache(), exist_ok=True)
open(f"{cache()}/{name}", "w").write("poison\n")
assert libc.shmget(key(name), 4096, 0o1666) >= 0, ctypes.get_errno()
tcp = socket.create_server(("0.0.0.0", port))
unix = socket.socket(socket.AF_UNIX); unix.bind("\0" + name); unix.listen()
print("present", flush=True)
if os.fork() == 0:
    for fd in range(3): os.close(fd)
    while True: tcp.accept()
"""
LOOK = SHARED + r"""
import json
name, port = sys.argv[1], int(sys.argv[2])
def connects(family, address):
    with socket.socket(family) as client:
        client.settimeout(5)
        return client.connect_ex(address) == 0
def read(path):
    try: return open(path, "rb").read()
    except OSError: return b""
def below(top):
    return (entry for where, dirs, files in os.walk(top) if where != "/" or dirs.remove("proc") is None for entry in files)
print(json.dumps({
    "files": f"secret-of-{name}" in set(below("/")),
    "processes": any(f"present.py\0{name}".encode() in read(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit()),
    "memory": libc.shmget(key(name), 0, 0) >= 0,
    "shared files": os.path.exists(f"/dev/shm/{name}"),
    "loopback": connects(socket.AF_INET, ("127.0.0.1", port)),
    "network": connects(socket.AF_INET, ("192.0.2.2", port)),
    "abstract sockets": connects(socket.AF_UNIX, "\0" + name),
    "cache": os.path.exists(f"{cache()}/{name}"),
}))
"""
SNIFF = "import socket\ntry: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\nexcept OSError as e: print('no sniffing:', e.errno)"
THINGS = ["files", "processes", "memory", "shared files", "loopback", "network", "abstract sockets", "cache"]
HOLD = "echo {word}; while ! [ -e /tmp/{word} ]; do sleep 0.05; done"


@pytest.fixture(scope="module")
def outer(world, nothing_left_after_the_module):
    made = Outer(world)
    made.serve(made.world, "tcp=0.0.0.0", "tcp=::")
    yield made
    made.close()


@pytest.fixture(scope="module")
def repositories(outer, world):
    directory = world.directory("repositories")
    for name in PORTS:
        make_repository(directory, name, {"count.c": PROGRAM, "Makefile": MAKEFILE, "present.py": PRESENT, "look.py": LOOK, "sniff.py": SNIFF})
    server = GitServer(outer.host, HOST4, GIT_PORT, directory)
    yield server.url
    server.close()


class Service:
    """The service as one identity: its store has the image after the first job."""

    def __init__(self, inside, world):
        self.inside = inside
        oci = real_image().oci
        if inside.identity == "user":  # who may not read our build directory
            copy = inside.directory("image") / "oci"
            shutil.copytree(oci, copy)
            oci = copy
        self.image = f"oci:{oci}:{TAG}"
        self.env = {"CLOISTER_STORE": str(world.directory("store", owner=inside.identity, mode=0o700))}

    def job(self, url, tenant, *more):
        other, = set(PORTS) - {tenant}
        look = "python3 look.py {} {}"
        return Job(self.inside, {
            "name": f"{tenant}-{os.getpid()}", "tenant": tenant, "image": self.image, "workdir": "/work",
            "policy": {"network": "outbound", "network_reach": [f"{HOST4}/32"], "limits": {"time": "5m", "tasks": 64}},
            "steps": [{"name": "clone", "run": f"git clone -q {url}/{tenant}.git . && git log --format=%s"},
                      {"name": "build", "run": "make -s"},
                      {"name": "analyse", "command": ["sh", "-c", "cat *.c *.py | ./count >report.json"]},
                      {"name": "present", "run": f"python3 present.py {tenant} {PORTS[tenant]}"},
                      {"name": "meet", "run": HOLD.format(word="meeting")},
                      {"name": "own", "run": f"{look.format(tenant, PORTS[tenant])} | tee own.json"},
                      {"name": "other", "run": f"{look.format(other, PORTS[other])} | tee other.json"},
                      {"name": "traffic", "run": "python3 sniff.py"},
                      {"name": "part", "run": HOLD.format(word="parting")}, *more],
            "artifacts": [f"/work/{name}.json" for name in ("report", "own", "other")]})

    def let(self, tenant, word):
        self.inside.call("exec", f"{tenant}-{os.getpid()}", "touch", f"/tmp/{word}", env=self.env).ok()


@pytest.fixture(scope="module", params=["root", "user"])
def service(request, outer, world, binary):
    outer.set_resolver(WORLD4)
    made = Service(Inside(outer, world, binary, request.param), world)
    Job(made.inside, {"image": made.image, "steps": steps("true")}).run(env=made.env, timeout=600).ok()  # the image comes
    yield made
    shutil.rmtree(made.env["CLOISTER_STORE"], ignore_errors=True)


def test_two_tenants_side_by_side(service, repositories):
    jobs = {tenant: service.job(repositories, tenant) for tenant in PORTS}
    with jobs["red"].start(env=service.env) as red, jobs["blue"].start(env=service.env) as blue:
        running = {"red": red, "blue": blue}
        for word in (b"meeting", b"parting"):  # each looks while the other is there
            for one in running.values():
                one.expect(word, timeout=60)
            for tenant in running:
                service.let(tenant, word.decode())
        outcomes = {tenant: one.wait().ok() for tenant, one in running.items()}
    for tenant, outcome in outcomes.items():
        kept = jobs[tenant].artifacts
        assert json.loads((kept / "report.json").read_text())["lines"] == sum(t.count("\n") for t in (PROGRAM, PRESENT, LOOK, SNIFF))
        assert json.loads((kept / "own.json").read_text()) == dict.fromkeys(THINGS, True)  # each look finds what is there
        assert json.loads((kept / "other.json").read_text()) == dict.fromkeys(THINGS, False)
        assert b"all of it\n" in outcome.out and b"no sniffing: 97\n" in outcome.out
        result = outcome.result
        assert result["status"] == "passed" and result["tenant"] == tenant and statuses(outcome) == ["passed"] * 9
        assert [(one["to"], one["error"]) for one in result["artifacts"]] == [(f"{n}.json", None) for n in ("report", "own", "other")]
        assert result["sandbox"]["result"]["limits_hit"] == [] and result["sandbox"]["network"] == "outbound"
    assert outcomes["red"].result["id"] != outcomes["blue"].result["id"]


def test_what_a_job_left_is_not_there_for_the_next(service, repositories):
    """Not for another tenant's, nor for its own."""
    dirty = "mkdir -p ~/.cache/toolchain /work && echo poison >~/.cache/toolchain/red && echo poison >/work/red && ls ~/.cache/toolchain /work"
    look = "ls -A ~/.cache/toolchain /work /tmp 2>/dev/null"
    job = lambda tenant, text: Job(service.inside, {"image": service.image, "tenant": tenant, "workdir": "/work", "steps": steps(text)})
    assert job("red", dirty).run(env=service.env).ok().out.count(b"red") == 2
    for tenant in ("red", "blue"):
        assert b"red" not in job(tenant, f"{look} || true").run(env=service.env).ok().out


def test_the_address_is_closed_to_who_does_not_open_it(service, repositories):
    job = Job(service.inside, {"image": service.image, "workdir": "/work", "policy": {"network": "outbound"},
                               "steps": [{"name": "clone", "run": f"git clone -q {repositories}/red.git .", "timeout": "3s"}]})
    outcome = job.run(env=service.env)
    assert outcome.exit in (124, 128) and outcome.result["status"] in ("timeout", "failed"), str(outcome)


# --- exfiltration -----------------------------------------------------------------------------

EXFILTRATE = r"""
import errno, socket, sys
def attempt(address, port):
    with socket.socket() as client:
        client.settimeout(2)
        try: client.connect((address, port))
        except TimeoutError: return "silence"
        except OSError as e: return errno.errorcode[e.errno]
        return "CONNECTED"
for pair in sys.argv[1:]:
    address, port = pair.split(":")
    print(pair, attempt(address, int(port)), flush=True)
sys.exit(9)
"""


def test_exfiltration_to_the_other_tenant(service, repositories):
    """While red has its port open: by its address, the loopback, the host's addresses, and the service."""
    red = service.job(repositories, "red")
    port = PORTS["red"]
    targets = [f"{address}:{port}" for address in ("192.0.2.2", "127.0.0.1", HOST4)] + [f"{HOST4}:{GIT_PORT}"]
    spec = {"image": service.image, "tenant": "blue",
            "steps": [{"name": "out", "command": ["python3", "-c", EXFILTRATE, *targets]}]}
    with red.start(env=service.env) as running:
        running.expect(b"meeting", timeout=60)
        for network, silent in (("none", "ENETUNREACH"), ("outbound", "silence")):
            outcome = Job(service.inside, {**spec, "policy": {"network": network}}).run(env=service.env)
            found = dict(line.split() for line in outcome.lines())
            refused = "ENETUNREACH" if network == "none" else "ECONNREFUSED"
            assert list(found.values()) == [refused, "ECONNREFUSED", silent, silent], str(outcome)
            assert outcome.exit == 9 and outcome.result["error"] == 'step "out" failed with status 9'
        # the attempts are such that they succeed where nothing is in their way
        name = f"red-{os.getpid()}"
        own = service.inside.call("exec", name, "python3", "-c", EXFILTRATE, f"127.0.0.1:{port}", f"{HOST4}:{GIT_PORT}", env=service.env)
        assert [line.split()[1] for line in own.lines()] == ["CONNECTED", "CONNECTED"], str(own)
        service.inside.call("kill", name, env=service.env).ok()
        assert running.wait().result["status"] == "killed"
