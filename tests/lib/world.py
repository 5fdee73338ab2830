"""The world that one pytest process works in.

Every pytest process (each xdist worker is one) enters a mount namespace and a
set of cgroups of its own before it starts a sandbox. So the state directory of
root, the mounts and the cgroups it looks at are those of its own sandboxes, and
two workers can both ask "is anything left?" at the same time.

The mounts of the namespace are shared, as they are on a host that systemd
started: a sandbox that forgets to cut propagation shows up in our mountinfo.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from lib.account import ordinary_user
from lib.patience import patience

CLONE_NEWNS = 0x00020000
SELF, V2_CONTROLLERS = "cloister-self", ("memory", "pids", "cpu")  # src/limits/v2.c
ROOT_STATE = Path("/run/cloister")
ROOT_KEPT = Path("/var/lib/cloister/sandboxes")
KEEPER = Path("/run/cloister-bare")  # src/walls/container/bare.c
_libc = ctypes.CDLL(None, use_errno=True)


def command(*argv, **options):
    """Run a tool of the host that has to succeed; its output as text."""
    options.setdefault("timeout", 60)
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def mountinfo():
    return Path("/proc/self/mountinfo").read_text()


def own_cgroups(pid="self"):
    """The cgroup directories of a process, else of this one: {hierarchy name: Path}."""
    mounts = {}
    for line in mountinfo().splitlines():
        before, after = line.split(" - ")
        kind, _, options = after.split(" ", 2)
        where = before.split(" ")[4]
        if kind == "cgroup2":
            mounts[""] = where
        elif kind == "cgroup":
            for word in options.split(","):
                mounts[word] = where
    found = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        where = mounts.get(names.split(",")[0])
        if where is not None:
            found[names] = Path(where) / path.lstrip("/")
    return found


def sandbox_cgroups(pid):
    """The cgroups that a sandbox has for itself; pid is of one of its processes."""
    return [path for path in own_cgroups(pid).values() if path.name.startswith("cloister-")]


def _seed_cpuset(directory):
    """A v1 cpuset takes no task before it has CPUs and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, parent = directory / name, directory.parent / name
        if own.exists() and parent.exists():
            own.write_text(parent.read_text())


def _sweep(parent):
    """Remove the cgroups of test processes that were killed."""
    for old in parent.glob("cltest-*"):
        if not os.path.exists(f"/proc/{old.name.rpartition('-')[2]}"):
            for directory, _, _ in reversed(list(os.walk(old))):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass  # another test process is quicker, or something still runs there


class World:
    """Private mounts, private cgroups, and directories for one pytest process."""

    def __init__(self):
        self.user = ordinary_user()
        self._enter_mounts()
        self._enter_cgroups()
        self.base = Path(tempfile.mkdtemp(prefix="cloister-test-", dir="/var/tmp"))
        self.base.chmod(0o755)
        self.user_runtime = self.directory("runtime", owner="user", mode=0o700)
        self.user_kept = self.directory("kept", owner="user", mode=0o700)
        self.home = Path(self.user.pw_dir)

    def _enter_mounts(self):
        with self.on_one_processor():
            if _libc.unshare(CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNS)")
        command("mount", "--make-rprivate", "/")
        command("mount", "--make-rshared", "/")
        ROOT_KEPT.parent.mkdir(mode=0o711, exist_ok=True)
        for directory in (ROOT_STATE, ROOT_KEPT, KEEPER):
            directory.mkdir(mode=0o700, exist_ok=True)
            command("mount", "-t", "tmpfs", "-o", "mode=0700", "state", directory)
        command("mount", "--make-private", KEEPER)  # as bare.c makes its own: what a test's view of the mounts keeps there is not ours

    @contextlib.contextmanager
    def on_one_processor(self):
        """On the one where our mount namespace was made: the kernel knows it to be older than those made there since."""
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(processors)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, processors)

    def _enter_cgroups(self):
        self.came_from = own_cgroups()
        self.cgroups = {}
        for name, parent in self.came_from.items():
            _sweep(parent)
            mine = parent / f"cltest-{os.getpid()}"
            mine.mkdir()
            _seed_cpuset(mine)
            (mine / "cgroup.procs").write_text(str(os.getpid()))
            self.cgroups[name] = mine
        self.beside = self._place_beside() if list(self.cgroups) == [""] else None

    def _place_beside(self):
        """Where sandboxes have their cgroups when there is only v2: beside ours, or above it (src/limits/v2.c)."""
        (parent,) = self.came_from.values()
        if os.environ.get("CLOISTER_DELEGATED"):  # to us: we were its only process, and it is empty now
            self._give_controllers(parent, "+")
        while parent.is_relative_to("/sys/fs/cgroup"):
            if {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()):
                # other test processes may be at work there, and theirs aren't ours to look at
                return None if "PYTEST_XDIST_WORKER" in os.environ else parent
            parent = parent.parent
        return None

    def _give_controllers(self, parent, sign):
        (parent / "cgroup.subtree_control").write_text(" ".join(sign + name for name in V2_CONTROLLERS))

    def gives_cpus(self):
        """Whether a sandbox's cgroup can have the controller cpu: systemd gives it to few."""
        return self.beside is None or "cpu" in (self.beside / "cgroup.subtree_control").read_text().split()

    def leave(self):
        """Give the cgroups and the directories back."""
        self.kill(self.processes() - {os.getpid()})
        self.remove_cgroups()
        for name, parent in self.came_from.items():
            if os.environ.get("CLOISTER_DELEGATED"):
                self._give_controllers(parent, "-")  # who gives them holds no process: cgroups(7)
            (parent / "cgroup.procs").write_text(str(os.getpid()))
            self.cgroups[name].rmdir()
        subprocess.run(["rm", "-rf", self.base], check=True)  # of some 200,000 files: by C

    def kill(self, pids):
        """Kill leftovers (only what is in our cgroups) and wait until they are gone."""
        for pid in pids & self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience(5)
        while pids & self.processes() and time.monotonic() < deadline:
            time.sleep(0.01)

    def remove_cgroups(self):
        """Remove what sandboxes left below our own cgroups."""
        for name in self.cgroups:
            for below in sorted(self.cgroup_children(name), key=lambda p: -len(p.parts)):
                try:
                    below.rmdir()
                except OSError:
                    pass  # still in use: the test that looks says so

    def cgroup_children(self, name):
        return [Path(d) for top in self._tops(name) for d, _, _ in os.walk(top) if Path(d) != self.cgroups[name]]

    def _tops(self, name):
        others = self.beside.glob("cloister-*") if self.beside else []
        return [self.cgroups[name], *(path for path in others if path.name != SELF)]

    def processes(self):
        """Every process in our cgroups: whatever was started from here is there."""
        name = next(n for n in ("name=systemd", "pids", "", *self.cgroups) if n in self.cgroups)
        pids = set()
        for directory in [self.cgroups[name], *self.cgroup_children(name)]:
            try:
                pids.update(int(p) for p in Path(directory, "cgroup.procs").read_text().split())
            except FileNotFoundError:
                pass  # removed while we walked
        return pids

    def directory(self, name, owner="root", mode=0o755):
        """A new directory under our base, named after `name`."""
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.base))
        if owner == "user":
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        path.chmod(mode)
        return path

    def user_can_execute(self, path):
        probe = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups",
                 "test", "-x", str(path)]
        return subprocess.run(probe, timeout=20).returncode == 0


def find_binary(world, name="cloister"):
    """The program under test, where the ordinary user can start it too.

    A program under a closed home directory, or /tmp, is copied, with its helpers beside it.
    """
    repository = Path(__file__).resolve().parents[2]
    built = repository / "build" / "bin"
    path = Path(os.environ["CLOISTER"]) if name == "cloister" and "CLOISTER" in os.environ else built / name
    if not path.exists():
        return None
    hidden = path.resolve().is_relative_to("/tmp")  # some tests put a /tmp of their own there
    if world.user_can_execute(path) and not hidden:
        return path.absolute()
    copy = world.base / "bin"
    copy.mkdir(exist_ok=True)
    helpers = [directory / name for directory in (path.resolve().parent, built) for name in ("cloister-plan", "cloister-image")]
    for program in (path, *helpers):
        if program.exists() and not (copy / program.name).exists():
            shutil.copy(program, copy / program.name)
            (copy / program.name).chmod(0o755)
    return copy / path.name
