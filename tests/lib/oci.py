"""An OCI runtime's command line, called as engines call it.

    container = runtime.create(runtime.bundle().args("sleep", "60"))
    container.start()
    container.kill("KILL")
    assert container.wait() == 128 + 9
    container.delete()

Which one: $CLOISTER_OCI, a program's path or name; else build/bin/cloister-oci. With runc or crun
the tests are tried against what engines use today: what those lack is marked so at the tests.
This process is the subreaper of what it starts, as conmon and containerd's shim are: a container's
first process is its child once `create` has ended, and its exit status comes from waitpid.
"""

import dataclasses
import itertools
import json
import os
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

from lib.oci_bundle import Bundle, copy_rootfs
from lib.patience import patience
from lib.runner import TIMEOUT, Outcome, Running, poll, stat_fields, text
from lib.world import own_cgroups

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCES = ("runc", "crun")
VIEWS = ("machine", "v1-only", "v2-only")
# Mounts below /sys alone are private: the others' events go from and to these tests' as without a view.
_VIEW = ["unshare", "-m", "--propagation", "unchanged", "sh", "-c"]
V1_ONLY = [*_VIEW, 'mount --make-rprivate /sys && umount /sys/fs/cgroup/unified && exec "$@"', "v1-only"]
V2_ONLY = [*_VIEW, 'mount --make-rprivate /sys && umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "v2-only"]
PREFIXES = {"machine": [], "v1-only": V1_ONLY, "v2-only": V2_ONLY}
WAIT = 20  # seconds for what a container does by itself
_numbers = itertools.count(1)


def program():
    """The runtime under test, or None where it isn't there."""
    wanted = os.environ.get("CLOISTER_OCI") or REPOSITORY / "build/bin/cloister-oci"
    found = shutil.which(os.fspath(wanted))
    return Path(found).absolute() if found else None


def slice_name():
    """The cgroup that tests give their containers; lib/world.py sweeps those of killed test processes."""
    return f"/cltest-oci-{os.getpid()}"


def cgroup_tops(view="machine"):
    """The directories of that cgroup as this process sees them, by the names of their hierarchies."""
    return {names: mount_of(path, names) / slice_name().lstrip("/") for names, path in own_cgroups().items()
            if view == "machine" or (view == "v2-only") == (names == "")}


def mount_of(path, names):
    """Where the hierarchy is mounted that this process's cgroup is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, found, below = line.split(":", 2)
        if found == names:
            return Path(str(path)[:len(str(path)) - len(below.rstrip("/"))] or "/")
    raise AssertionError(f"no cgroup of {names!r}")


def cgroup_of(pid, controller):
    """A process's directory of a controller, of v1's or v2's."""
    places = own_cgroups(pid)
    for names, path in places.items():
        if controller in names.split(","):
            return path
    return places[""]


def cgroup_processes(top):
    """Every process at a cgroup directory and below."""
    found = set()
    for directory, _, _ in os.walk(top):
        try:
            found.update(int(pid) for pid in Path(directory, "cgroup.procs").read_text().split())
        except OSError:
            pass  # removed while we walked
    return found


@dataclasses.dataclass
class Mount:
    """A line of mountinfo."""

    number: int
    parent: int
    device: str
    root: str          # what of its file system
    where: str
    options: list      # of the mount
    propagation: dict  # "shared", "master", "unbindable" with their peer groups
    kind: str
    source: str
    super_options: list


def mount_table(text):
    """The mounts of a mountinfo, in its order."""
    found = []
    for line in text.splitlines():
        mine, _, other = line.partition(" - ")
        number, parent, device, root, where, options, *tags = mine.split(" ")
        kind, source, more = other.split(" ", 2)
        propagation = dict((tag.split(":") + [""])[:2] for tag in tags)
        found.append(Mount(int(number), int(parent), device, root, where, options.split(","), propagation, kind, source, more.split(",")))
    return found


def mount_at(text, where):
    """The topmost mount at a place."""
    found = [mount for mount in mount_table(text) if mount.where == where]
    assert found, f"nothing is mounted at {where}:\n{text}"
    return found[-1]


class Runtime:
    """One runtime, as one identity, in one view of the cgroups, with a state directory of its own."""

    def __init__(self, world, binary, tree, identity="root", view="machine"):
        self.world, self.binary, self.tree, self.identity, self.view = world, Path(binary), tree, identity, view
        self.root = world.directory("oci-root", owner=identity, mode=0o700)
        self.options = [] if identity == "root" or self.name == "runc" else ["--cgroup-manager=disabled"]
        self.ids, self.containers = [], []

    @property
    def name(self):
        return self.binary.name

    @property
    def is_reference(self):
        return self.name in REFERENCES

    @property
    def uid(self):
        return self.world.user.pw_uid if self.identity == "user" else 0

    @property
    def gid(self):
        return self.world.user.pw_gid if self.identity == "user" else 0

    @property
    def has_cgroup(self):
        return self.identity == "root"

    def prefix(self):
        words = list(PREFIXES[self.view])
        if self.identity == "user":
            words += ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "--"]
        return words

    def environment(self, extra=None):
        values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        if self.identity == "user":
            values.update(HOME=str(self.world.home), XDG_RUNTIME_DIR=str(self.world.user_runtime))
        values.update({key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS")})
        values.update(extra or {})
        return values

    def argv(self, *words, options=()):
        """The command line; options: global ones, before the command."""
        return [str(word) for word in (*self.prefix(), self.binary, "--root", self.root, *self.options, *options, *words)]

    def call(self, *words, timeout=TIMEOUT, options=(), env=None, **popen):
        """A command that no container's process outlives with its output."""
        popen.setdefault("cwd", "/")
        if "input" not in popen:
            popen.setdefault("stdin", subprocess.DEVNULL)
        argv, began = self.argv(*words, options=options), time.monotonic()
        try:
            done = subprocess.run(argv, capture_output=True, timeout=patience(timeout), env=self.environment(env), **popen)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"still running, or its output held open, after {timeout} s: {argv}\n"
                                 f" out {late.stdout!r}\n err {late.stderr!r}") from None
        return Outcome(argv, done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def popen(self, *words, options=(), env=None, **popen):
        """A command whose output, and that of the container with it, is collected as it comes."""
        popen.setdefault("cwd", "/")
        popen.setdefault("pipes", (False, True, True))
        return Running(self.argv(*words, options=options), env=self.environment(env), **popen)

    def directory(self, name="dir", mode=0o755):
        return self.world.directory(name, owner=self.identity, mode=mode)

    def new_id(self):
        self.ids.append(f"t{next(_numbers)}-{os.getpid()}")
        return self.ids[-1]

    def bundle(self, own_rootfs=False):
        """A bundle as Docker writes it; an ordinary user's has a user namespace, and nothing of cgroups."""
        directory = self.directory("bundle")
        rootfs = copy_rootfs(self.tree, directory / "rootfs") if own_rootfs else self.tree
        if self.identity == "root":
            return Bundle(directory, rootfs, f"{slice_name()}/b{next(_numbers)}")
        if own_rootfs:
            for directory, _, _ in os.walk(rootfs):
                os.chown(directory, self.uid, self.gid)
        made = Bundle(directory, rootfs).without_mount("/sys/fs/cgroup").map_ids(self.uid, self.gid)
        made.mount_of("/dev/pts")["options"].remove("gid=5")  # it isn't mapped
        return made

    def create(self, bundle, *words, identifier=None, options=(), **popen):
        """`create`, which succeeds."""
        made = self.try_create(bundle, *words, identifier=identifier, options=options, **popen)
        assert isinstance(made, Container), f"create failed: {made}"
        return made

    def try_create(self, bundle, *words, identifier=None, options=(), **popen):
        """A Container, or the outcome of a create that failed."""
        identifier = self.new_id() if identifier is None else identifier
        pid_file = bundle.write().directory / f"pid-{next(_numbers)}"
        running = self.popen("create", "--bundle", bundle.directory, "--pid-file", pid_file, *words, identifier, options=options, **popen)
        if self._ended(running) != 0:
            return running.wait()
        return Container(self, bundle, identifier, running, pid_file)

    def start_detached(self, bundle, *words, identifier=None, **popen):
        """`run --detach`, which succeeds."""
        identifier = identifier or self.new_id()
        pid_file = bundle.write().directory / f"pid-{next(_numbers)}"
        running = self.popen("run", "--detach", "--bundle", bundle.directory, "--pid-file", pid_file, *words, identifier, **popen)
        if self._ended(running) != 0:
            raise AssertionError(f"run --detach failed: {running.wait()}")
        return Container(self, bundle, identifier, running, pid_file)

    @staticmethod
    def _ended(running):
        try:
            return running.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            running.stop()
            raise AssertionError(f"still running after {TIMEOUT} s: {running.argv}\n err {running.err!r}") from None

    def run(self, bundle, *words, identifier=None, options=(), **popen):
        """`run` in the foreground, waited for."""
        bundle.write()
        return self.call("run", "--bundle", bundle.directory, *words, identifier or self.new_id(), options=options, **popen)

    def start_run(self, bundle, *words, identifier=None, **popen):
        """`run` in the foreground, left running."""
        bundle.write()
        return self.popen("run", "--bundle", bundle.directory, *words, identifier or self.new_id(), **popen)

    def started(self, bundle, *words, **more):
        """Created and started."""
        container = self.create(bundle, *words, **more)
        container.start()
        return container

    def output(self, bundle, *words, **popen):
        """What a program that succeeds prints under `run`."""
        return text(self.run(bundle, *words, **popen).ok().out)

    def listed(self):
        """The ids that `list -q` prints."""
        return self.call("list", "-q").ok().word().split()

    def refused(self, outcome, *needles, field=None):
        """It failed as engines and people can understand: every needle is in the message, and the field's path.

        runc and crun name few fields, and spread some errors over lines: those two are asked of ours alone.
        """
        assert isinstance(outcome, Outcome), f"it was done: {outcome}"
        assert outcome.exit not in (0, None) and outcome.exit > 0, f"{outcome}"
        assert outcome.out == b"" or self.is_reference, f"an error on standard output\n{outcome}"
        message = text(outcome.err)
        assert len(message.strip()) > 10, f"no message\n{outcome}"
        for needle in needles:
            assert re.search(needle, message, re.IGNORECASE), f"no {needle!r} in the message\n{outcome}"
        if not self.is_reference:
            assert message.count("\n") == 1 and message.endswith("\n"), f"not one line\n{outcome}"
            # a number that no integer holds is an error of the JSON itself, and has its line
            assert field is None or field in message.replace(": ", ".") or re.search(r"\.json:\d+:\d+: too big", message), \
                f"the message doesn't name {field}\n{outcome}"
        return outcome

    def rejects(self, bundle, *needles, field=None, words=(), identifier=None):
        """`create` refuses the bundle, and leaves nothing."""
        before = sorted(os.listdir(self.root))
        identifier = self.new_id() if identifier is None else identifier
        made = self.try_create(bundle, *words, identifier=identifier)
        if isinstance(made, Container):
            self.call("delete", "--force", "--", identifier)
            made.forget()
            raise AssertionError(f"accepted: {bundle.path.read_bytes()[:300]!r}")
        if identifier in self.ids:
            assert self.left_of(identifier) == [], f"left of a create that failed: {self.left_of(identifier)}\n{made}"
        elif self.is_reference:
            assert sorted(os.listdir(self.root)) == before, f"left of a create that failed\n{made}"
        left = self.cgroups_of(bundle)
        assert not left, f"cgroups left of a create that failed: {left}\n{made}"
        return self.refused(made, *needles, field=field)

    @staticmethod
    def cgroups_of(bundle):
        """The cgroups that are there of what a bundle names."""
        path = bundle.config.get("linux", {}).get("cgroupsPath") if isinstance(bundle.config.get("linux"), dict) else None
        if not isinstance(path, str) or not path.startswith(slice_name() + "/") or ".." in path or "\0" in path or len(path) > 255:
            return []
        return [str(place) for place in (top / path[len(slice_name()) + 1:] for top in cgroup_tops().values()) if place.exists()]

    def left_of(self, identifier):
        """Names below the state directory that hold the id."""
        return [os.path.join(where, name) for where, names, files in os.walk(self.root) for name in [*names, *files] if identifier in name]

    def remove_all(self):
        """Delete whatever a test left, in whatever state it is, and give back what the tests hold of it."""
        for identifier in self.ids:
            for _ in range(3):  # an init ends after the others of its namespace are reaped: those of exec are ours
                if self.left_of(identifier):
                    self.call("delete", "--force", identifier)
                    reap()
        for container in self.containers:
            container.forget()


class Container:
    """A container that `create` made."""

    def __init__(self, runtime, bundle, identifier, running, pid_file):
        self.runtime, self.bundle, self.id, self.running, self.pid_file = runtime, bundle, identifier, running, pid_file
        self.pid = int(pid_file.read_text())
        self.pidfd = os.pidfd_open(self.pid)
        self.status = None
        runtime.containers.append(self)

    def call(self, command, *words, **more):
        """A command whose first operand is the id."""
        return self.runtime.call(command, self.id, *words, **more)

    def start(self):
        self.call("start").ok()
        return self

    def state(self):
        return json.loads(self.call("state").ok().out)

    def is_now(self, status):
        found = self.state()
        assert found["status"] == status, f"{found['status']}, not {status}"
        return found

    def kill(self, *words):
        self.call("kill", *words).ok()
        return self

    def delete(self, *options):
        return self.runtime.call("delete", *options, self.id).ok()

    def exec(self, *command, opts=(), **more):
        return self.runtime.call("exec", *opts, self.id, *command, **more)

    @property
    def out(self):
        return self.running.out

    @property
    def err(self):
        return self.running.err

    def expect(self, wanted, name="out"):
        return self.running.expect(wanted, name)

    def ended(self, timeout=WAIT):
        """Wait until its first process has ended, and leave the exit status to be taken."""
        ready, _, _ = select.select([self.pidfd], [], [], patience(timeout))
        assert ready, f"{self.id} still runs after {timeout} s: out {self.out!r} err {self.err!r}"
        return self

    def wait(self, timeout=WAIT):
        """Its exit status, as a shell tells it, when all that it wrote has arrived."""
        if self.status is None:
            self.ended(timeout)
            _, status = os.waitpid(self.pid, 0)
            self.status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            self.forget()
        return self.status

    def wait_with_others(self):
        """The same where its pid namespace has more children of ours, as exec's: before those are reaped it doesn't end."""
        if self.status is None:
            poll(lambda: reap(but=(self.pid,)) or select.select([self.pidfd], [], [], 0)[0], WAIT, f"{self.id} still runs")
        return self.wait()

    def forget(self):
        """Give its pipes and its descriptor back; what runs is left as it is."""
        for reader in self.running.readers:
            reader.join(patience(WAIT))
            assert not reader.is_alive(), f"somebody still holds the output of {self.id}"
        self.running.stop()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def file(self, path):
        """A file of /proc/PID on the host, as text."""
        return Path(f"/proc/{self.pid}", path).read_text()

    def status_field(self, name):
        """A field of /proc/PID/status."""
        return next(line.partition(":")[2].strip() for line in self.file("status").splitlines() if line.startswith(name + ":"))

    def path(self, path):
        """A file of the container, as the host reaches it."""
        return Path(f"/proc/{self.pid}/root", str(path).lstrip("/"))

    def mount_at(self, where):
        return mount_at(self.file("mountinfo"), where)

    def namespace(self, kind):
        return os.readlink(f"/proc/{self.pid}/ns/{kind}")

    def read(self, controller, name):
        """A file of its cgroup."""
        return (self.cgroup(controller) / name).read_text().strip()

    def cgroup(self, controller):
        return cgroup_of(self.pid, controller)


def reap(but=()):
    """Collect what became this process's child and has ended, and no test asked for; but those of these numbers."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) not in but and stat_fields(entry)[:2] == ["Z", str(os.getpid())]:
                os.waitpid(int(entry), os.WNOHANG)
        except OSError:
            pass  # gone
