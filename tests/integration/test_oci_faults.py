"""Each system call and each allocation of cloister-oci's commands is failed once, and it is killed before each.

What fails ends with one line that says why, or has done what it says; it never hangs, and leaves no cgroup, mount,
state, process or socket. What is killed leaves what `delete --force` takes away. lib/oci_faults.py has the commands
and what has to be true of each; the program has the shims of src/base/fault.h (build/bin/cloister-oci-weak).
"""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib import oci, oci_bundle
from lib.oci_faults import Console, Create, Delete, Exec, ExecDetached, FaultyRuntime, Living, Pause, Ps, Resume, Run, Start, State, Stats, Update
from lib.oci_leaks import OciLeaks
from lib.world import command, find_binary

EIO, EINTR, ENOMEM, ENOSPC, EPERM = errno.EIO, errno.EINTR, errno.ENOMEM, errno.ENOSPC, errno.EPERM
CACHE = Path("/var/cache/cloister")
pytestmark = pytest.mark.usefixtures("orphans_come_to_us")
SLEEPS = ("sleep", "1000")
# What a program finds in its container; the end of it is the command's.
FACTS = """grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp)' /proc/self/status; cut -d' ' -f4-6 /proc/self/mountinfo
hostname; pwd; ulimit -n; env | sort; ls /proc/self/fd | wc -l; ls /dev; cat /proc/self/oom_score_adj; umask
cat /proc/self/cgroup; cat /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/*/memory.limit_in_bytes /sys/fs/cgroup/*/devices.list \
/sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max 2>/dev/null
exit 7"""
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
ANNOTATIONS = {"run.cloister.landlock": "on", "run.cloister.seccomp": "build", "run.cloister.time-limit": "90s"}


@pytest.fixture(scope="module", autouse=True)
def nothing_left_after_the_module():
    """In place of that of sandboxes: each test here looks for itself."""


@pytest.fixture(scope="module")
def weak(world):
    path = find_binary(world, "cloister-oci-weak")
    assert path is not None, "build/bin/cloister-oci-weak is missing: tools/build.sh weak"
    return path


def seal(world, program):
    """On a read-only mount, as it would make itself one: so its calls are counted from one start alone."""
    place = world.directory("sealed")
    for path in (program, program.with_name("cloister-plan")):
        shutil.copy(path, place)
    command("mount", "--bind", place, place)
    command("mount", "-o", "remount,bind,ro", place)
    yield place / program.name
    command("umount", place)


@pytest.fixture(scope="module")
def sealed(world, weak):
    yield from seal(world, weak)


@pytest.fixture(scope="module")
def sanitised(world):
    built = Path(__file__).resolve().parents[2] / "build/bin/asan/cloister-oci"
    assert built.exists(), "build/bin/asan/cloister-oci is missing: tools/build.sh asan"
    yield from seal(world, built)


@pytest.fixture(scope="module", autouse=True)
def own_cache():
    """Root's is the host's; where a test may empty it."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    command("mount", "-t", "tmpfs", "-o", "mode=0700", "cache", CACHE)
    yield
    command("umount", CACHE)


@pytest.fixture(scope="module")
def tree(world):
    return oci_bundle.make_rootfs(world.directory("oci-tree"))


@pytest.fixture(scope="module")
def oci_leaks(world, sealed, sanitised, own_cache, tree):
    made = OciLeaks(world)
    yield made
    made.remove_cgroups()


@pytest.fixture
def make_faulty(request, world, sealed, tree, oci_leaks):
    made = []

    def make(identity="root", program=sealed, view="machine"):
        if view != "machine" and not os.path.ismount("/sys/fs/cgroup/unified"):
            pytest.skip("no v1 hybrid here: its parts can't be looked at alone")
        made.append(FaultyRuntime(oci.Runtime(world, program, tree, identity, view)))
        return made[-1]

    yield make
    for each in made:
        each.clear()
        each.close()
    oci_leaks.check([each.runtime for each in made])
    unfinished = list(CACHE.glob("*/new-*"))
    for path in unfinished:
        path.unlink()
    assert not unfinished or "dies" in request.node.name, unfinished


# --- bundles ---------------------------------------------------------------------------

def facts(runtime):
    bundle = runtime.bundle().sh(FACTS)
    return bundle.resources(memory={"limit": 64 << 20}, pids={"limit": 50}) if runtime.has_cgroup else bundle


def rich(runtime):
    """All that takes a step of its own."""
    bundle = facts(runtime).mount("/data", runtime.directory("source"), "rbind", "ro").mount("/etc", "tmpfs", "tmpcopyup")
    for kind in HOOKS:
        bundle.hook_sh(kind, "true")
    bundle.config["annotations"] = dict(ANNOTATIONS)
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    return bundle.resources(memory={"limit": 64 << 20, "swap": 128 << 20}, cpu={"quota": 50000, "period": 100000, "shares": 512})


def sleeping(runtime):
    return runtime.bundle().args(*SLEEPS)


def unlimited(runtime):
    """Where the hybrid's v2 part has no controllers."""
    bundle = sleeping(runtime)
    del bundle.linux["resources"]
    return bundle


def with_terminal(bundle):
    def make(runtime):
        made = bundle(runtime)
        made.process["terminal"] = True
        return made
    return make


def joining(runtime):
    """Where a go-between enters namespaces and bears the first process."""
    return sleeping(runtime).namespace("network", "/proc/self/ns/net").namespace("ipc", "/proc/self/ns/ipc")


class Cold(Create):
    """With a bundle that was never seen: its document is parsed by a helper."""

    def prepare(self):
        super().prepare()
        for directory in CACHE.iterdir():
            shutil.rmtree(directory)


@dataclass(frozen=True)
class Walk:
    """What is walked through, and how many points have to be met at least."""

    name: str
    scene: object          # made from a FaultyRuntime, a Bundle and a number
    what: str              # as CLOISTER_FAULT has it, without the number
    least: int
    bundle: object = sleeping
    codes: tuple = (EIO,)
    first: int = 1
    stride: int = 1
    last: int = None
    identity: str = "root"
    view: str = "machine"

    def __str__(self):
        return f"{self.name}-{self.what.replace(':', '-')}" + (f"-{self.first}" if self.stride > 1 else "")


def living(*words, scene=Living):
    return lambda *of: scene(*of, *words)


def deleting(**more):
    return lambda *of: Delete(*of, **more)


FORCED = deleting(begun=True, options=("--force",))
EXEC = living("exec", "{id}", "sh", "-c", "echo said; exit 7", scene=Exec)
PAUSE, RESUME = living("pause", "{id}", scene=Pause), living("resume", "{id}", scene=Resume)

WALKS = (
    Walk("create", Create, "self:syscall", 150),
    Walk("create", Create, "children:syscall", 50, codes=(ENOMEM, EPERM), stride=4),
    Walk("create", Create, "self:alloc", 8),
    Walk("create", Create, "self:dies", 150),
    Walk("create", Create, "children:dies", 60, stride=4),
    Walk("create-cold", Cold, "self:syscall", 50, codes=(EIO, ENOSPC), first=15, last=120),
    Walk("create-cold", Cold, "children:syscall", 10, stride=3, last=90),
    Walk("create-cold", Cold, "self:alloc", 15),
    Walk("create-cold", Cold, "self:dies", 50, first=15, last=120),
    Walk("create-joining", Create, "self:syscall", 150, joining),
    Walk("create-joining", Create, "children:syscall", 50, joining, codes=(ENOMEM, EPERM), stride=4),
    Walk("create-joining", Create, "self:dies", 150, joining),
    Walk("create-joining", Create, "children:dies", 60, joining, stride=4),
    *(Walk("run", Run, "self:syscall", 100, facts, first=first, stride=2) for first in (1, 2)),
    *(Walk("run", Run, "children:syscall", 100, facts, first=first, stride=2) for first in (1, 2)),
    Walk("run", Run, "self:alloc", 10, facts),
    Walk("run", Run, "self:dies", 80, facts, stride=3),
    Walk("run-interrupted", Run, "self:syscall", 50, facts, codes=(EINTR,), stride=4),
    Walk("run-interrupted", Run, "children:syscall", 50, facts, codes=(EINTR,), stride=4),
    Walk("run-user", Run, "self:syscall", 15, facts, stride=3, identity="user"),
    Walk("run-user", Run, "children:syscall", 50, facts, stride=4, identity="user"),
    Walk("run-user", Run, "self:dies", 15, facts, stride=3, identity="user"),
    Walk("run-rich", Run, "self:syscall", 40, rich, codes=(EIO, ENOMEM), stride=5),
    Walk("run-rich", Run, "children:syscall", 40, rich, codes=(ENOMEM, EIO), stride=5),
    Walk("run-rich", Run, "self:alloc", 15, rich),
    Walk("run-rich", Run, "children:alloc", 3, rich),
    Walk("run-rich", Run, "self:dies", 40, rich, stride=5),
    # EIO is how a terminal says that it ended
    Walk("run-terminal", Run, "self:syscall", 30, with_terminal(facts), codes=(ENOMEM,), first=230, stride=2),
    Walk("run-terminal", Run, "children:syscall", 40, with_terminal(facts), codes=(ENOMEM,), stride=5),
    Walk("create-console", Console, "self:syscall", 40, with_terminal(sleeping), stride=4),
    Walk("create-console", Console, "children:syscall", 40, with_terminal(sleeping), stride=5),
    Walk("start", Start, "self:syscall", 20),
    Walk("start", Start, "self:alloc", 3),
    Walk("start", Start, "self:dies", 20),
    Walk("delete", deleting(), "self:syscall", 60),
    Walk("delete", deleting(), "self:alloc", 3),
    Walk("delete", deleting(), "self:dies", 40, stride=2),
    Walk("delete-force", FORCED, "self:syscall", 40, stride=2),
    Walk("delete-force", FORCED, "self:dies", 20, stride=4),
    Walk("kill", living("kill", "{id}", "CONT"), "self:syscall", 12),
    Walk("kill", living("kill", "{id}", "CONT"), "self:alloc", 3),
    Walk("kill-all", living("kill", "--all", "{id}", "CONT"), "self:syscall", 15),
    Walk("state", living("state", "{id}", scene=State), "self:syscall", 20),
    Walk("state", living("state", "{id}", scene=State), "self:alloc", 4),
    Walk("ps", living("ps", "{id}", scene=Ps), "self:syscall", 15),
    Walk("ps", living("ps", "{id}", scene=Ps), "self:alloc", 4),
    Walk("events", living("events", "--stats", "{id}", scene=Stats), "self:syscall", 20),
    Walk("events", living("events", "--stats", "{id}", scene=Stats), "self:alloc", 4),
    Walk("list", living("list", scene=State), "self:syscall", 20),
    Walk("list", living("list", scene=State), "self:alloc", 4),
    Walk("list-json", living("list", "--format", "json", scene=State), "self:alloc", 4),
    Walk("exec", EXEC, "self:syscall", 50),
    Walk("exec", EXEC, "children:syscall", 40, stride=2),
    Walk("exec", EXEC, "self:alloc", 3),
    Walk("exec", EXEC, "self:dies", 20, stride=3),
    Walk("exec", EXEC, "children:dies", 20, stride=4),
    Walk("exec-detached", ExecDetached, "self:syscall", 40, stride=2),
    Walk("exec-detached", ExecDetached, "self:dies", 15, stride=5),
    Walk("pause", PAUSE, "self:syscall", 30),
    Walk("pause", PAUSE, "self:dies", 15, stride=3),
    Walk("resume", RESUME, "self:syscall", 30),
    Walk("resume", RESUME, "self:dies", 10, stride=4),
    Walk("pause-v2", PAUSE, "self:syscall", 15, unlimited, view="v2-only"),
    Walk("resume-v2", RESUME, "self:dies", 10, unlimited, stride=3, view="v2-only"),
    Walk("delete-v2", FORCED, "self:syscall", 10, unlimited, view="v2-only"),
    Walk("kill-all-v2", living("kill", "--all", "{id}", "CONT"), "self:syscall", 10, unlimited, view="v2-only"),
    Walk("update", Update, "self:syscall", 30),
    Walk("update", Update, "self:alloc", 3),
    Walk("update", Update, "self:dies", 10, stride=4),
)


@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_each_point(make_faulty, walk):
    faulty = make_faulty(walk.identity, view=walk.view)
    scene = walk.scene(faulty, walk.bundle(faulty.runtime), WALKS.index(walk))
    wrong, count = scene.walk(walk.what, walk.codes, walk.first, walk.stride, walk.last)
    assert not wrong, f"{len(wrong)} complaints about {scene.command()}\n" + "\n".join(wrong)
    assert count >= walk.least, f"{count} points alone: have the calls gone elsewhere?"


SANITISED = (
    Walk("create", Create, "self:syscall", 20, codes=(EIO, ENOMEM), stride=8),
    Walk("create", Create, "self:alloc", 8),
    Walk("run", Run, "children:syscall", 15, rich, stride=20),
    Walk("start", Start, "self:syscall", 8, stride=3),
    Walk("delete", deleting(), "self:syscall", 10, stride=8),
    Walk("state", living("state", "{id}", scene=State), "self:alloc", 4),
)


@pytest.mark.parametrize("walk", SANITISED, ids=str)
def test_the_error_paths_under_the_sanitizers(make_faulty, sanitised, walk):
    """A twice freed, lost or overrun buffer ends the program with a report and a status of its own."""
    faulty = make_faulty(program=sanitised)
    scene = walk.scene(faulty, walk.bundle(faulty.runtime), 0)
    wrong, count = scene.walk(walk.what, walk.codes, walk.first, walk.stride)
    assert not wrong and count >= walk.least, f"{count} points\n" + "\n".join(wrong)


def test_the_points_before_it_runs_from_a_read_only_mount(make_faulty, weak):
    """Where it has to make that mount itself, and starts anew from there."""
    faulty = make_faulty(program=weak)
    for what in ("self:syscall", "self:dies"):
        wrong, count = Create(faulty, sleeping(faulty.runtime), 0).walk(what, last=14)
        assert not wrong and count == 14, "\n".join(wrong)


def test_what_is_left_would_be_seen(make_faulty):
    """A container, its first process among it."""
    faulty = make_faulty()
    scene = Create(faulty, sleeping(faulty.runtime), 0)
    scene.prepare()
    assert faulty.remains() == []
    faulty.ok(*scene.words)
    found = " ".join(faulty.remains())
    for kind in ("state", "cgroup", "process", f"{scene.id}/start"):
        assert kind in found, found
    assert scene.after_death() == []


def test_a_failure_would_be_seen(make_faulty):
    """Who judges has something against each kind of a wrong end."""
    faulty = make_faulty()
    scene = State(faulty, sleeping(faulty.runtime), 0, "state", "{id}")
    scene.prepare()
    scene.struck = ("syscall", "openat")
    outcome = faulty.call(f"self:syscall:1:{EIO}", "state", "no-such")
    assert scene.judge_failure(faulty.call(None, "state", "no-such"), EIO) == [f"the message does not say {os.strerror(EIO)!r}"]
    outcome.exit, outcome.err = 0, b""
    assert scene.judge_success(outcome) == ["the exit status or the output is wrong"]
    scene.end()


def test_a_time_limit_holds_no_lock(make_faulty):
    """Its process outlives the `start` that made it, also when that is killed."""
    faulty = make_faulty()
    bundle = sleeping(faulty.runtime)
    bundle.config["annotations"] = {"run.cloister.time-limit": "90s"}
    scene = Start(faulty, bundle, 0)
    wrong, count = scene.walk("self:dies", first=25)
    assert not wrong and count > 10, "\n".join(wrong)


def test_a_filter_of_ours_goes_over_the_bundles(make_faulty):
    """Ours lets nobody install another."""
    faulty = make_faulty()
    for profile in ("strict", "build"):
        bundle = facts(faulty.runtime)
        bundle.config["annotations"] = {"run.cloister.seccomp": profile}
        assert b"Seccomp_filters:\t2" in Run(faulty, bundle, 0).output
    bundle.seccomp({"names": ["seccomp"], "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM})
    done = faulty.call(None, "run", "--bundle", bundle.write().directory, "forbidden")
    assert done.exit == 1 and b"annotations.run.cloister.seccomp" in done.err and b"has to allow the call seccomp" in done.err, f"{done}"
