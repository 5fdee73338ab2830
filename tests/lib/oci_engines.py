"""Real engines with the runtime under test below them: dockerd, podman, buildah, containerd's ctr.

Which runtime: lib/oci.py's, $CLOISTER_OCI or build/bin/cloister-oci. Each engine has directories of its own, and a
mount namespace that outlives the calls of a daemonless one and a killed daemon: what containers are made of stays there.
Containers' cgroups are below lib/oci.py's slice, where an engine can be told so.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from lib import engines, layouts, oci, oci_bundle, oci_leaks, tars
from lib.images import make_image, make_layer
from lib.patience import patience
from lib.runner import Running, poll
from lib.service import Service

IMAGE = "box"
NAME = "tested"  # what Docker calls the runtime
SLOW = 120
SLEEPER = 'trap "echo ended; exit 3" TERM; echo up; while :; do sleep 0.1; done'
# What an engine has in one place for the whole machine; $1 is a command that comes before.
SETUP = 'mount --make-rslave / && mount -t tmpfs run /run && mount -t tmpfs opt /opt && eval "$1" && echo && exec cat'
VIEW = {"machine": "true", "v1-only": "umount /sys/fs/cgroup/unified"}


def view_of(program):
    """crun refuses the hybrid."""
    return "v1-only" if program.name == "crun" and os.path.ismount("/sys/fs/cgroup/unified") else "machine"


class Mounts:
    """A mount namespace, kept by a process of ours."""

    def __init__(self, program, more="true"):
        setup = f"{VIEW[view_of(program)]} && {more}"
        self.keeper = subprocess.Popen(["unshare", "-m", "sh", "-c", SETUP, "mounts", setup], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"\n", "the mount namespace was not made"

    def words(self):
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", f"--wdns=/proc/{self.keeper.pid}/cwd", "--"]

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(20)
        self.keeper.stdout.close()


def start_containerd(place, mounts):
    """Debian's 1.6, as a Service; its socket is PLACE/containerd.sock."""
    place.mkdir(exist_ok=True)
    config = place / "config.toml"
    config.write_text(f'version = 2\nroot = "{place}/root"\nstate = "{place}/state"\n[grpc]\naddress = "{place}/containerd.sock"\n'
                      f'[plugins."io.containerd.internal.v1.opt"]\npath = "{place}/opt"\n')
    service = Service(["/usr/bin/containerd", "--config", config], place / "log", env=engines.environment(place), prefix=mounts.words())
    service.expect("containerd successfully booted")
    return service


class Engine:
    """What docker's and podman's command lines have in common."""

    network = ["--network", "none"]

    def __init__(self, world, program):
        self.world, self.program = world, program
        self.directory = world.directory(f"engine-{self.name}")

    def argv(self, *words):
        return [str(word) for word in (*self.words, *words)]

    def call(self, *words, status=0, timeout=SLOW, **options):
        """A command that ends with this status, or with any (None); its output."""
        options.setdefault("cwd", "/")
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.argv(*words), env=self.env, capture_output=True, timeout=patience(timeout), **options)
        assert status is None or done.returncode == status, f"{words}: exit {done.returncode}\n out {done.stdout!r}\n err {done.stderr!r}"
        return done.stdout.decode() if status is not None else done

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

    def remove(self, *names):
        if names:
            self.call("rm", "-f", *names)

    def remove_all(self):
        self.remove(*self.call("ps", "-aq").split())


class Docker(Engine):
    """dockerd 20.10 by hand beside its containerd, as services are; its default runtime is the one under test."""

    name = "docker"

    def __init__(self, world, program, flags=()):
        super().__init__(world, program)
        place = self.directory
        (place / "etc").mkdir()
        self.mounts = Mounts(program, f"mount --bind {place}/etc /etc/docker")
        self.socket = place / "docker.sock"
        self.containerd = start_containerd(place / "containerd", self.mounts)
        self.flags = ["--containerd", place / "containerd/containerd.sock",
                      "--data-root", place / "data", "--exec-root", place / "exec", "-H", f"unix://{self.socket}", "-p", place / "docker.pid",
                      "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "overlay2", "--live-restore",
                      f"--add-runtime={NAME}={program}", f"--default-runtime={NAME}", f"--cgroup-parent={oci.slice_name()}", *flags]
        self.env = engines.environment(place, DOCKER_HOST=f"unix://{self.socket}", DOCKER_BUILDKIT="0")
        self.words, self.runtime = [engines.DOCKER], ["--runtime", NAME]
        self.begin()

    def begin(self):
        self.service = Service([engines.DOCKERD, *self.flags], self.directory / "log", env=engines.environment(self.directory), prefix=self.mounts.words())
        self.service.expect("API listen on")

    def kill_daemon(self):
        """Without a word of farewell; containers, their shims and containerd live on."""
        self.service.process.kill()
        self.service.process.wait(20)

    def load(self, archive):
        self.call("import", archive, IMAGE)

    def stop(self):
        self.remove_all()
        self.service.stop()
        self.containerd.stop()
        self.mounts.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Podman(Engine):
    """podman 4.3, with storage of its own."""

    name = "podman"

    def __init__(self, world, program):
        super().__init__(world, program)
        self.engine = engines.Podman(self.directory)
        self.mounts = Mounts(program)
        argv = self.engine.argv()
        self.words = [*self.mounts.words(), *argv[argv.index("podman"):], "--runtime", program]
        self.env, self.runtime = self.engine.env, ["--cgroup-parent", oci.slice_name()]

    def load(self, archive):
        self.call("import", archive, IMAGE)

    def stop(self):
        self.remove_all()
        self.call("umount", "--all")
        self.mounts.close()
        self.engine.remove()


class UserPodman(Engine):
    """podman of the ordinary user, with a range of ids for its user namespace, and no cgroups."""

    name = "rootless"

    def __init__(self, world, program):
        super().__init__(world, program)
        user, place = world.user, self.directory
        os.chown(place, user.pw_uid, user.pw_gid)
        (place / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
                                               '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n')
        self.mounts = Mounts(program)
        self.env = engines.environment(place, XDG_RUNTIME_DIR=str(place), CONTAINERS_CONF=str(place / "containers.conf"), TMPDIR=str(place))
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]
        self.words, self.runtime = [*self.mounts.words(), *become, "podman", "--runtime", program], []

    def load(self, archive):
        with open(archive, "rb") as data:
            self.call("import", "-", IMAGE, stdin=data)

    def stop(self):
        self.remove_all()
        self.call("unshare", "rm", "-rf", self.directory / ".local/share/containers")
        self.call("system", "migrate")  # ends the process that holds its user namespace
        self.mounts.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Containerd:
    """containerd 1.6, and ctr with `--runc-binary`."""

    def __init__(self, world, program):
        self.program, self.directory = program, world.directory("engine-containerd")
        self.mounts = Mounts(program)
        self.socket = self.directory / "containerd.sock"
        self.env = engines.environment(self.directory)
        self.begin()

    def begin(self):
        self.service = start_containerd(self.directory, self.mounts)

    def kill_daemon(self):
        self.service.process.kill()
        self.service.process.wait(20)

    def argv(self, *words):
        """In the daemon's mounts: the pipes between the two are in /run."""
        return [str(word) for word in (*self.mounts.words(), "/usr/bin/ctr", "--address", self.socket, *words)]

    def call(self, *words, status=0, timeout=SLOW, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.argv(*words), env=self.env, capture_output=True, timeout=patience(timeout), cwd="/", **options)
        assert status is None or done.returncode == status, f"{words}: exit {done.returncode}\n out {done.stdout!r}\n err {done.stderr!r}"
        return done.stdout.decode() if status is not None else done

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
            self.call("task", "rm", identifier)
        self.call("container", "rm", identifier)

    def stop(self):
        for identifier in self.call("container", "ls", "-q").split():
            self.remove(identifier)
        self.service.stop()
        self.mounts.close()
        shutil.rmtree(self.directory, ignore_errors=True)


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
            if b"containerd-shim-runc-v2" in line and str(containerd_directory).encode() in line:
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
def engine_archive(world, engine_tree):
    return tree_archive(engine_tree, world.directory("engine-archive") / "tree.tar")


@pytest.fixture(scope="module")
def make_engine(world, engine_program, engine_archive):
    """Starts engines with the image in them; at the end of the module nothing of them or their containers is left."""
    left, made = oci_leaks.OciLeaks(world), []

    def make(kind, **more):
        made.append(kind(world, engine_program, **more))
        if kind is not Containerd:
            made[-1].load(engine_archive)
        return made[-1]

    yield make
    for each in reversed(made):
        each.stop()
    try:
        left.check()
    finally:
        left.remove_cgroups()
