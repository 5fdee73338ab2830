"""What the processes of a pull can and can't do, looked at from outside while the registry keeps them in the middle of a layer."""

import base64
import os
import random
import re
import stat
from pathlib import Path

import pytest

from lib import tars
from lib.images import make_image, make_layer
from lib.leaks import HELPERS, IDS
from lib.pulling import all_gone, hold_back, verbs_of
from lib.runner import descendants, poll

MIB = 1 << 20
STAGES = {"fetch", "verify", "inflate", "verify-stream", "unpack"}
STREAMS = sorted(STAGES - {"fetch", "unpack"})
NAMESPACES = ("user", "mnt", "net", "ipc", "uts")
# CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID and SETFCAP of capabilities(7)
UNPACKS = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31
SECRET = "word-that-nobody-may-read"


class Held:
    """A pull that has come to the middle of its one layer, and its processes."""

    def __init__(self, pulls, running, image):
        self.pulls, self.pid, self.image, self.helpers = pulls, running.pid, image, {}
        poll(self._look, 20, lambda: f"only {verbs_of(self.pid)}")
        self.work = next(self.pulls.path.glob("work/[0-9]*"))

    def _look(self):
        """All are there, and have gone into their jails."""
        self.helpers = {verb: pids[0] for verb, pids in verbs_of(self.pid).items()}
        return set(self.helpers) >= STAGES and all(self.status(verb)["Seccomp"] == "2" for verb in STAGES) and list(self.pulls.path.glob("work/[0-9]*/tree/first"))

    def status(self, verb):
        lines = Path(f"/proc/{self.helpers[verb]}/status").read_text().splitlines()
        return dict(re.split(r":\s*", line, maxsplit=1) for line in lines)

    def ids(self, verb, which="Uid"):
        return {int(number) for number in self.status(verb)[which].split()}

    def namespace(self, verb, kind):
        return os.readlink(f"/proc/{self.helpers[verb]}/ns/{kind}")

    def descriptors(self, verb):
        """{number: what it is}: paths below the store are told by the store's own names."""
        found, base = {}, f"/proc/{self.helpers[verb]}/fd"
        for entry in os.listdir(base):
            target = os.readlink(f"{base}/{entry}").replace(str(self.pulls.path), "STORE")
            found[int(entry)] = re.sub(r"^(pipe|socket):\[\d+\]$", r"\1", target)
        return found

    def read(self, verb, name):
        return Path(f"/proc/{self.helpers[verb]}/{name}").read_bytes()


@pytest.fixture(scope="module")
def image():
    return make_image([make_layer([tars.file("first", "x"), tars.file("data", random.Random(8).randbytes(3 * MIB))])])


@pytest.fixture
def held(pulls, fake_registry, image):
    """With credentials at hand, of which nobody but the fetcher may know."""
    pulls.credentials({"auths": {fake_registry.address: {"auth": base64.b64encode(f"user:{SECRET}".encode()).decode()}}})
    gate = hold_back(fake_registry, image.layers[0].blob, 2 * MIB)
    with pulls.start("-q", fake_registry.add(image), env={"CANARY": SECRET}) as running:
        yield Held(pulls, running, image)
        gate.released = True
        if running.process.poll() is None:
            running.wait().ok()
            pulls.has(image).is_settled()


def test_nobody_can_gain_anything(held):
    """The bounding set is of no account: it is for programs that are executed, and none can be."""
    for verb in STAGES:
        status = held.status(verb)
        assert (status["NoNewPrivs"], status["Seccomp"], status["CapInh"], status["CapAmb"]) == ("1", "2", "0" * 16, "0" * 16), (verb, status)
        wanted = UNPACKS if verb == "unpack" else 0
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == wanted, (verb, status["CapEff"])


def test_whose_they_are(held):
    """Never host root: the one that unpacks has a range of uids that nothing else has, so have the others one id."""
    user = held.pulls.cloister.uid
    for verb in STAGES:
        uids, gids = held.ids(verb), held.ids(verb, "Gid")
        assert len(uids) == len(gids) == 1
        uid = uids.pop()
        if user != 0:
            assert uid == user, (verb, uid)
        elif verb == "unpack":
            assert uid in IDS and uid % 65536 == 0 and gids == {uid} and held.status(verb)["Groups"].strip() == ""
        else:
            assert uid in HELPERS and gids == {uid} and held.status(verb)["Groups"].strip() == "", (verb, uid, gids)


def test_nobody_may_look_into_them(held):
    """Not dumpable: their files in /proc are root's, whoever they are; nobody of their uid may trace them."""
    for verb in STAGES:
        assert Path(f"/proc/{held.helpers[verb]}/mem").stat().st_uid == 0 and 0 not in held.ids(verb), verb


@pytest.mark.parametrize("verb", [*STREAMS, "unpack"])
def test_who_reads_layers_has_nothing_of_the_host(held, verb):
    for kind in NAMESPACES:
        assert held.namespace(verb, kind) != os.readlink(f"/proc/{held.pid}/ns/{kind}"), kind
    devices = held.read(verb, "net/dev").decode().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert held.read(verb, "net/route").decode().splitlines()[1:] == []


def test_each_has_namespaces_of_its_own(held):
    for kind in NAMESPACES:
        found = [held.namespace(verb, kind) for verb in (*STREAMS, "unpack")]
        assert len(set(found)) == len(found), kind


def test_fetcher_has_the_network_alone(held):
    """And no directory: what it may open is Landlock's and seccomp's, which test_fetch.py looks at from inside."""
    assert held.namespace("fetch", "net") == os.readlink("/proc/self/ns/net")
    for target in held.descriptors("fetch").values():
        assert re.fullmatch(r"/dev/null|pipe|socket|anon_inode:\[event(poll|fd)\]|STORE/downloads/[0-9a-f]{64}|/memfd:.*", target), held.descriptors("fetch")


@pytest.mark.parametrize("verb", STREAMS)
def test_streams_have_an_empty_root(held, verb):
    assert os.listdir(f"/proc/{held.helpers[verb]}/root/") == []
    assert os.readlink(f"/proc/{held.helpers[verb]}/cwd") == "/"


def test_unpacking_has_the_layer_as_its_root(held):
    root, tree = os.stat(f"/proc/{held.helpers['unpack']}/root/"), (held.work / "tree").stat()
    assert (root.st_dev, root.st_ino) == (tree.st_dev, tree.st_ino)
    mounts = held.read("unpack", "mountinfo").decode().splitlines()
    assert len(mounts) == 1, mounts
    options = mounts[0].split()[5].split(",")
    assert {"nosuid", "nodev", "noexec"} <= set(options), mounts
    assert "shared:" not in mounts[0], "what is mounted there would be mounted on the host"


def test_descriptors_are_the_expected_ones(held):
    digest = held.image.layers[0].blob.digest[7:]
    wanted = {"verify": {0: f"STORE/downloads/{digest}", 1: "pipe", 2: "/memfd:report (deleted)", 3: "/memfd:report (deleted)", 4: "pipe"},
              "inflate": {0: "pipe", 1: "pipe", 2: "/memfd:report (deleted)"},
              "verify-stream": {0: "pipe", 1: "pipe", 2: "/memfd:report (deleted)", 3: "/memfd:report (deleted)"}}
    for verb, numbers in wanted.items():
        assert held.descriptors(verb) == numbers, verb
    unpack = held.descriptors("unpack")
    assert {0: "pipe", 2: "/memfd:report (deleted)", 3: "/memfd:report (deleted)"}.items() <= unpack.items()
    device = (held.work / "tree").stat().st_dev
    for number in set(unpack) - {0, 2, 3}:  # all else is of the layer
        seen = os.stat(f"/proc/{held.helpers['unpack']}/fd/{number}")
        assert seen.st_dev == device and (stat.S_ISDIR(seen.st_mode) or stat.S_ISREG(seen.st_mode)), (number, unpack[number])
        assert not unpack[number].startswith("STORE") or unpack[number].startswith(f"STORE/work/{held.work.name}/tree"), unpack[number]


def test_reports_can_not_fill_the_memory(held):
    """Sealed to their size."""
    for verb, number in (("verify", 2), ("verify", 3), ("inflate", 2), ("unpack", 2), ("unpack", 3)):
        with open(f"/proc/{held.helpers[verb]}/fd/{number}", "r+b", buffering=0) as report:
            size = os.fstat(report.fileno()).st_size
            with pytest.raises(PermissionError):
                os.pwrite(report.fileno(), b"x", size)
            with pytest.raises(PermissionError):
                os.ftruncate(report.fileno(), 1 << 30)


def test_nobody_is_told_what_the_caller_knows(held):
    """Neither environment nor arguments, and no secret in either."""
    for verb in STAGES:
        assert held.read(verb, "environ") == b"", verb
        assert SECRET.encode() not in held.read(verb, "cmdline") and b"/" not in held.read(verb, "cmdline"), held.read(verb, "cmdline")


def test_limits(held):
    for verb in STAGES:
        limits = dict(re.findall(r"^(Max [a-z ]+?) {2,}(\S+)", held.read(verb, "limits").decode(), re.MULTILINE))
        assert limits["Max core file size"] == "0", verb
        assert limits["Max address space"] != "unlimited" and int(limits["Max address space"]) <= 1 << 30, (verb, limits)
        assert int(limits["Max open files"]) <= 256, (verb, limits)
        if verb != "fetch":  # its resolver has threads
            assert limits["Max processes"] == "0", verb


def test_memory_of_all_of_them(held):
    """What a pull takes at its most, less what they share: the proportional sizes (smaps_rollup)."""
    sizes = {}
    for pid in [held.pid, *descendants(held.pid)]:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        sizes[pid] = int(found[1])
    assert sum(sizes.values()) < 64 << 10, sizes


def test_two_pulls_unpack_under_two_ranges(root_pulls, fake_registry, image):
    """What takes over the one can't touch the other's files, or send it a signal."""
    other = make_image([make_layer([tars.file("first", "y"), tars.file("data", random.Random(9).randbytes(3 * MIB))])])
    gates = [hold_back(fake_registry, one.layers[0].blob, 2 * MIB) for one in (image, other)]
    names = [fake_registry.add(one, f"some/{number}") for number, one in enumerate((image, other))]
    with root_pulls.start("-q", names[0]) as first, root_pulls.start("-q", names[1]) as second:
        def unpackers():
            found = [pid for running in (first, second) for pid in verbs_of(running.pid).get("unpack", [])]
            uids = {int(re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) for pid in found}
            return uids if len(uids) == 2 and all(uid in IDS for uid in uids) else None
        poll(unpackers, 20, "two pulls never had a range each")
        for gate in gates:
            gate.released = True
        first.wait().ok()
        second.wait().ok()


def test_download_is_the_owners_alone(held):
    path = held.pulls.path / "downloads" / held.image.layers[0].blob.digest[7:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_uid == held.pulls.cloister.uid


def test_killing_the_pull_ends_them_all(pulls, fake_registry, image):
    gate = hold_back(fake_registry, image.layers[0].blob, 2 * MIB)
    with pulls.start("-q", fake_registry.add(image)) as running:
        held_one = Held(pulls, running, image)
        below = descendants(running.pid)
        assert set(held_one.helpers.values()) <= set(below)
        running.process.kill()
        running.process.wait(20)
        poll(lambda: all_gone(below), 5, "helpers outlive their pull")
    gate.released = True
