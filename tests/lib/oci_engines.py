"""Real engines with the runtime under test below them: dockerd, podman, buildah, containerd's ctr.

Which runtime: lib/oci.py's, $CLOISTER_OCI or build/bin/cloister-oci. The daemons and their directories are those of
lib/engines.py. Each engine lives in a mount namespace that outlives the calls of a daemonless one and a killed daemon:
what containers are made of stays there; and the view of the cgroups is that one's. Containers' cgroups are below
lib/oci.py's slice, where an engine can be told so.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from lib import engines, layouts, oci, oci_bundle, oci_leaks, tars
from lib.images import make_image, make_layer
from lib.patience import patience
from lib.runner import Running, poll

IMAGE = "box"
NAME = "tested"  # what Docker calls the runtime
SLOW = 120
SLEEPER = 'trap "echo ended; exit 3" TERM; echo up; while :; do sleep 0.1; done'
SLICE = "cltest.slice"  # of the containers whose cgroups systemd makes
# What an engine has in one place for the whole machine, and what of it stays the machine's.
SETUP = """mount --make-rslave / && mount -t tmpfs run /mnt && mkdir /mnt/mount || exit
for each in systemd dbus user; do
    [ ! -d /run/$each ] || { mkdir /mnt/$each && mount --rbind /run/$each /mnt/$each; } || exit
done
mount --move /mnt /run && mount -t tmpfs opt /opt || exit
[ ! -d /etc/docker ] || mount -t tmpfs etc /etc/docker || exit
echo && exec cat"""


def usual_view(program):
    """crun refuses the hybrid."""
    return "v1-only" if program.name == "crun" and os.path.ismount("/sys/fs/cgroup/unified") else "machine"


class Mounts:
    """A mount namespace, kept by a process of ours, whose directory is everybody's in it: engines' helpers write to theirs."""

    def __init__(self, view, directory):
        argv = [*oci.PREFIXES[view], "unshare", "-m", "sh", "-c", SETUP]
        self.keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory)
        assert self.keeper.stdout.readline() == b"\n", "the mount namespace was not made"

    def words(self):
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", f"--wdns=/proc/{self.keeper.pid}/cwd", "--"]

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(patience(20))
        self.keeper.stdout.close()


class Client:
    """An engine's command line."""

    def __init__(self, world, program, view=None):
        self.world, self.program, self.view = world, program, view or usual_view(program)
        self.directory = world.directory(f"engine-{self.name}")
        self.mounts = Mounts(self.view, self.directory)
        self.words, self.env = [], {}

    def argv(self, *words):
        return [str(word) for word in (*self.words, *words)]

    def call(self, *words, status=0, timeout=SLOW, **options):
        """A command that ends with this status: its output; or with any (None)."""
        options.setdefault("cwd", "/")
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.argv(*words), env=self.env, capture_output=True, timeout=patience(timeout), **options)
        assert status is None or done.returncode == status, f"{words}: exit {done.returncode}\n out {done.stdout!r}\n err {done.stderr!r}"
        return done.stdout.decode() if status is not None else done

    def leave(self):
        self.mounts.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Engine(Client):
    """What docker's and podman's command lines have in common."""

    network = ["--network", "none"]
    runtime, now = [], []  # options of `run` and of `rm`

    def load(self, archive):
        self.call("import", archive, IMAGE)

    def popen(self, *words, **options):
        """A command whose output is collected as it comes."""
        options.setdefault("cwd", "/")
        options.setdefault("pipes", (False, True, True))
        return Running(self.argv(*words), env=self.env, **options)

    def run_words(self, *options):
        return ["run", *self.runtime, *self.network, *options]

    def run(self, *words, options=(), image=IMAGE, **more):
        """`run --rm`, waited for: its output."""
        return self.call(*self.run_words("--rm", *options), image, *words, **more)

    def create(self, *words, options=(), image=IMAGE):
        return self.call("create", *self.runtime, *self.network, *options, image, *words).strip()

    def start(self, *words, options=(), image=IMAGE):
        """`run -d`: the id."""
        return self.call(*self.run_words("-d", *options), image, *(words or ("sh", "-c", SLEEPER))).strip()

    def started(self, *words, options=(), wanted=b"up\n", image=IMAGE):
        """The same, when it has said that it is up."""
        name = self.start(*words, options=options, image=image)
        with self.popen("logs", "-f", name) as follow:
            follow.expect(wanted)
        return name

    def inspect(self, name, form="{{json .}}"):
        said = self.call("inspect", "--format", form, name).strip()
        if form != "{{json .}}":
            return said
        found = json.loads(said)
        return found[0] if isinstance(found, list) else found

    def pid(self, name):
        return int(self.inspect(name, "{{.State.Pid}}"))

    def status(self, name):
        return self.inspect(name, "{{.State.Status}}")

    def exec(self, name, *words, options=(), **more):
        return self.call("exec", *options, name, *words, **more)

    def remove(self, *names, **more):
        if names:
            self.call("rm", "-f", *self.now, *names, **more)

    def remove_all(self):
        self.remove(*self.call("ps", "-aq").split())


class Docker(Engine):
    """dockerd 20.10 beside its containerd, as services are; its default runtime is the one under test."""

    name = "docker"

    def __init__(self, world, program, flags=(), view=None, manager="cgroupfs"):
        super().__init__(world, program, view)
        parent = oci.slice_name() if manager == "cgroupfs" else SLICE
        prefix = self.mounts.words()
        self.containerd = engines.Containerd(self.directory / "containerd", prefix=prefix)
        flags = ["--containerd", self.containerd.socket, "--live-restore", f"--add-runtime={NAME}={program}", f"--default-runtime={NAME}",
                 f"--exec-opt=native.cgroupdriver={manager}", f"--cgroup-parent={parent}", *flags]
        self.daemon = engines.Dockerd(self.directory / "docker", flags=flags, prefix=prefix)
        self.env = {**self.daemon.env, "DOCKER_BUILDKIT": "0"}
        self.words, self.runtime = [engines.DOCKER], ["--runtime", NAME]

    def stop(self):
        if not self.daemon.service.alive():
            self.daemon.begin()
        self.remove_all()
        self.daemon.stop()
        self.containerd.stop()
        self.leave()


class Podman(Engine):
    """podman 4.3, with storage of its own."""

    name, now = "podman", ["-t", "0"]

    def __init__(self, world, program, view=None, manager="cgroupfs"):
        super().__init__(world, program, view)
        self.engine = engines.Podman(self.directory)
        argv = self.engine.argv()
        self.words = [*self.mounts.words(), *argv[argv.index("podman"):], "--runtime", program, "--cgroup-manager", manager]
        self.env, self.runtime = self.engine.env, ["--cgroup-parent", oci.slice_name() if manager == "cgroupfs" else SLICE]

    def stop(self):
        self.remove_all()
        self.call("umount", "--all")
        self.engine.remove()
        self.leave()


class UserPodman(Engine):
    """podman of the ordinary user, with a range of ids for its user namespace; its cgroups are none, or its systemd's."""

    name, now = "rootless", ["-t", "0"]

    def __init__(self, world, program, manager="cgroupfs"):
        super().__init__(world, program)
        user = world.user
        conf = engines.write_podman_conf(self.directory)
        self.run_root = tempfile.mkdtemp(prefix="cloister-podman-", dir="/var/tmp")  # podman 4.3 has 50 characters for what is in it
        for place in (self.directory, self.run_root):
            os.chown(place, user.pw_uid, user.pw_gid)
        runtime = self.run_root if manager == "cgroupfs" else f"/run/user/{user.pw_uid}"
        self.env = engines.environment(self.directory, XDG_RUNTIME_DIR=runtime, CONTAINERS_CONF=str(conf), TMPDIR=str(self.directory))
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]
        self.words = [*self.mounts.words(), *become, "podman", "--runtime", program, "--cgroup-manager", manager]

    def load(self, archive):
        with open(archive, "rb") as data:
            self.call("import", "-", IMAGE, stdin=data)

    def stop(self):
        self.remove_all()
        self.call("unshare", "rm", "-rf", self.directory / ".local/share/containers")
        self.call("system", "migrate")  # ends the process that holds its user namespace
        shutil.rmtree(self.run_root)
        self.leave()


class Containerd(Client):
    """containerd 1.6, and ctr with `--runc-binary`."""

    name = "containerd"
    shims = None  # a directory of some, besides those that are installed

    def __init__(self, world, program, view=None):
        super().__init__(world, program, view)
        self.daemon = engines.Containerd(self.directory, prefix=self.mounts.words(), shims=self.shims)
        self.env = self.daemon.env
        self.words = [*self.mounts.words(), *self.daemon.argv()]  # the pipes between the two are in /run

    def load(self, archive):
        self.daemon.load(archive)

    def run_words(self, identifier, *words, options=()):
        return ["run", "--runc-binary", self.program, "--cgroup", f"{oci.slice_name()}/{identifier}", *options, f"docker.io/library/{IMAGE}:latest", identifier, *words]

    def run(self, identifier, *words, options=(), **more):
        return self.call(*self.run_words(identifier, *words, options=["--rm", *options]), **more)

    def start(self, identifier, *words, options=()):
        self.call(*self.run_words(identifier, *(words or ("sh", "-c", SLEEPER)), options=["-d", *options]))
        return identifier

    def exec(self, identifier, *words, options=(), **more):
        return self.call("task", "exec", "--exec-id", f"e{os.urandom(4).hex()}", *options, identifier, *words, **more)

    def tasks(self):
        """{id: (pid, status)}."""
        rows = [line.split() for line in self.call("task", "ls").splitlines()[1:]]
        return {identifier: (int(pid), status) for identifier, pid, status in rows}

    def until(self, identifier, status):
        poll(lambda: self.tasks().get(identifier, (0, "GONE"))[1] == status, 20, lambda: f"{self.tasks()}, and not {identifier} {status}")

    def remove(self, identifier):
        if identifier in self.tasks():
            self.call("task", "kill", "-s", "KILL", identifier, status=None)
            self.until(identifier, "STOPPED")
            self.call("task", "rm", identifier, status=None)  # whose status the task's is
        self.call("container", "rm", identifier)

    def stop(self):
        if not self.daemon.service.alive():
            self.daemon.begin()
        for identifier in self.call("container", "ls", "-q").split():
            self.remove(identifier)
        self.daemon.stop()
        self.leave()


class ContainerdShim(Containerd):
    """The same with our own shim, which has the program beside it and is found by its name."""

    shims = oci.REPOSITORY / "build/bin"

    def run_words(self, identifier, *words, options=()):
        return ["run", "--runtime", "io.containerd.cloister.v2", "--cgroup", f"{oci.slice_name()}/{identifier}", *options,
                f"docker.io/library/{IMAGE}:latest", identifier, *words]


def tree_archive(tree, path):
    """A root file system as docker and podman import it."""
    with tarfile.open(path, "w") as archive:
        archive.add(tree, ".")
    return path


def image_archive(tree, path):
    """The same as an OCI archive of an image, for containerd."""
    layer = make_layer(tars.from_directory(tree))
    image = make_image([layer], {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]})
    return layouts.write_oci_archive(path, {f"docker.io/library/{IMAGE}:latest": image})


def shims(containerd_directory):
    """The shims of the containers below a directory's containerd."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{entry}/cmdline").read_bytes() if entry.isdigit() else b""
            if b"containerd-shim-" in line and str(containerd_directory).encode() in line:
                found.append(int(entry))
    return found


@pytest.fixture(scope="session")
def engine_program(world):
    """The runtime under test, where engines and the ordinary user can start it."""
    path = oci.program()
    if path is None:
        pytest.fail("build/bin/cloister-oci is not there: run make first, or set CLOISTER_OCI", pytrace=False)
    return path


@pytest.fixture(scope="session")
def engine_tree(world):
    return oci_bundle.make_rootfs(world.directory("engine-tree"))


@pytest.fixture(scope="session")
def engine_archives(world, engine_tree):
    """The image as each kind of engine takes it."""
    place = world.directory("engine-archives")
    tree = tree_archive(engine_tree, place / "tree.tar")
    image = image_archive(engine_tree, place / "image.tar")
    return {Docker: tree, Podman: tree, UserPodman: tree, Containerd: image, ContainerdShim: image}


@pytest.fixture(scope="module")
def make_engine(world, engine_program, engine_archives):
    """Starts engines with the image in them; at the end of the module nothing of them or their containers is left."""
    left, made = oci_leaks.OciLeaks(world), []

    def make(kind, **more):
        made.append(kind(world, engine_program, **more))
        made[-1].load(engine_archives[kind])
        return made[-1]

    yield make
    for each in reversed(made):
        each.stop()
    try:
        left.check()
    finally:
        left.remove_cgroups()
