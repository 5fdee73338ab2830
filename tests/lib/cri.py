"""containerd 2 with the CRI, whose default runtime is one that is told, as docs/oci.md says, and a registry of its images.

    with Cri(directory, Runtime(PROGRAM)) as cri:
        cri.crictl("pods")
        cri.ctr("run", "--rm", cri.box, "one", "true")

All of it is in namespaces for mounts, the network and System V's IPC (critest makes some), held by a program that does nothing: so
containerd can be killed, and another one finds the containers. Names of images need no registry's host:
whatever they name comes from ours. /run and /var/lib are its own too, and go with the namespace.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lib import cri_images, go_engines
from lib.engines import environment
from lib.patience import patience
from lib.registry import PROGRAM, Registry
from lib.service import Service
from lib.world import command

PLUGINS = Path("/usr/lib/cni")  # Debian's
TOP = Path(__file__).resolve().parents[2]
MANUAL, SHIMS_MANUAL = TOP / "docs/oci.md", TOP / "docs/containerd.md"
INSTALLED = "/usr/local/bin/cloister-oci"  # as the manual has it
SUBNET = "10.99.0.0/24"
# What a node has: the loopback interface, forwarding, /run, where engines have their sockets, and what the plug-ins keep in /var/lib.
NODE = """set -e
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mount --make-rshared /
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
exec sleep infinity
"""
CONFIG = """version = 3
root = "{place}/root"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{place}/opt"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{place}/hosts"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{plugins}"]
conf_dir = "{place}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "cloister"

"""
NETWORK = {"cniVersion": "1.0.0", "name": "tests",
           "plugins": [{"type": "bridge", "bridge": "tests0", "isGateway": True, "ipMasq": False,
                        "ipam": {"type": "host-local", "ranges": [[{"subnet": SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                       {"type": "portmap", "capabilities": {"portMappings": True}}]}
# The cgroups of pods that we describe, and of ctr's containers, whose namespace it is; lib/world.py sweeps those of the dead.
PARENT, NAMESPACE = f"/cltest-cri-{os.getpid()}", f"cltest-ctr-{os.getpid()}"
SOCKET = "/run/containerd/containerd.sock"
CGROUPS = (PARENT[1:], NAMESPACE, "k8s.io")  # the last is of critest's pods


def documented(manual):
    """A manual's lines for config.toml."""
    return re.search(r"^containerd 2,.*?```toml\n(.*?)```", manual.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL).group(1)


class Runtime:
    """cloister-oci, or another in its place, under runc's shim."""

    def __init__(self, program):
        self.program = program

    def configuration(self):
        """Lines for config.toml."""
        block = documented(MANUAL)
        assert block.count(INSTALLED) == 1, block
        return block.replace(INSTALLED, os.fspath(self.program))

    def flags(self):
        """Of ctr run."""
        return ["--runc-binary", self.program]

    def nerdctl_flags(self):
        return ["--runtime", self.program]

    def is_told(self, info):
        """Whether that is what containerd says of a pod's runtime."""
        return os.fspath(self.program) in json.dumps(info["runtimeOptions"])

    state = "/run/containerd/runc/k8s.io"
    manual = MANUAL


class Shim:
    """containerd-shim-cloister-v2, PROGRAM, which is found by its name."""

    def __init__(self, program):
        self.program = program

    def configuration(self):
        return documented(SHIMS_MANUAL)

    def flags(self):
        return ["--runtime", "io.containerd.cloister.v2"]

    nerdctl_flags = flags

    def is_told(self, info):
        return info["runtimeType"] == "io.containerd.cloister.v2"

    state = "/run/cloister-shim/runtime/k8s.io"
    manual = SHIMS_MANUAL


class Sandboxer(Shim):
    """The same, which makes pods itself: without a pause container."""

    def configuration(self):
        text = SHIMS_MANUAL.read_text(encoding="utf-8").partition("## Pods without a pause container")[2]
        block = re.search(r"```toml\n(.*?)```", text, re.DOTALL).group(1)
        assert 'sandboxer = "shim"\n' in block, block
        return block


class Controlled(Shim):
    """cloisterd's: `cloister` pods of containers, `cloister-wasm` those of modules, and `shim` without it."""

    def configuration(self):
        block = re.search(r"```toml\n(.*?)```", SHIMS_MANUAL.read_text(encoding="utf-8").partition("## cloisterd")[2], re.DOTALL).group(1)
        assert block.count('sandboxer = "cloister"\n') == 2, block
        return block.replace("runtimes.cloister-pod]", "runtimes.cloister]") + documented(SHIMS_MANUAL).replace("runtimes.cloister]", "runtimes.shim]")


class Cri:
    """containerd and its registry, from the start to stop()."""

    box = f"registry.example/{cri_images.BOX}"

    def __init__(self, directory, runtime):
        self.place, self.runtime, self.programs = Path(directory), runtime, go_engines.programs()
        self.place.mkdir(parents=True, exist_ok=True)
        self.strange = _cgroups()
        self.env = environment(self.place, TMPDIR=str(self.place))
        self.clients = {"ctr": [self.programs / "ctr", "--address", SOCKET, "--namespace", NAMESPACE],  # tests may add to them
                        "crictl": [self.programs / "crictl", "--config", self.place / "crictl.yaml"], "critest": [self.programs / "critest"]}
        self.holder = Service(["sh", "-c", NODE], self.place / "node.log", prefix=["unshare", "-m", "-n", "-i"])
        try:
            self.holder.expect("^ready$")
            self._serve_images()
            self._write_configuration()
            self.start()
        except BaseException:
            self.holder.stop()
            raise

    @property
    def inside(self):
        """Words in front of a command that puts it where containerd is."""
        return ["nsenter", "--target", str(self.holder.pid), "--mount", "--net", "--ipc", "--"]

    def _serve_images(self):
        """Filled where we can talk to it, served where containerd can."""
        program = self.place / "effective-uid"
        command("gcc", "-static", "-O1", "-o", program, Path(__file__).with_name("effective_uid.c"))
        with Registry(self.place / "registry") as registry:
            cri_images.push_all(registry, program)
        self.registry = Service([PROGRAM, "serve", self.place / "registry/config.yml"], self.place / "registry.log",
                                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}, prefix=self.inside)
        self.port = int(self.registry.expect(r"listening on 127\.0\.0\.1:(\d+)").group(1))

    def _write_configuration(self):
        for name, text in (("hosts/_default/hosts.toml", f'[host."http://127.0.0.1:{self.port}"]\ncapabilities = ["pull", "resolve"]\n'),
                           ("cni/tests.conflist", json.dumps(NETWORK)),
                           ("crictl.yaml", "runtime-endpoint: unix:///run/containerd/containerd.sock\n"),
                           ("config.toml", CONFIG.format(place=self.place, plugins=PLUGINS) + self.runtime.configuration())):
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def start(self):
        """containerd, anew when it was killed. Its shims are found on PATH."""
        env = {**self.env, "PATH": f"{self.programs}:{Path(self.runtime.program).parent}:{self.env['PATH']}"}
        self.service = Service([self.programs / "containerd", "--config", self.place / "config.toml"], self.place / "log", env=env, prefix=self.inside)
        self.service.expect("containerd successfully booted")

    def kill(self):
        """The daemon alone, as the kernel would for its memory."""
        self.service.process.send_signal(signal.SIGKILL)
        self.service.process.wait(patience(20))

    def words(self, client, *words):
        """The command line of one of the clients, for whoever starts it."""
        program, *flags = self.clients[client]
        return [os.fspath(word) if isinstance(word, Path) else str(word) for word in [*self.inside, program, *flags, *words]]

    def call(self, client, *words, status=0, data=None, timeout=60):
        given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(self.words(client, *words), env=self.env, capture_output=True, timeout=patience(timeout), cwd="/", **given)
        assert done.returncode == status, f"{words}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
        return done.stdout.decode()

    def crictl(self, *words, **options):
        return self.call("crictl", *words, **options)

    def ctr(self, *words, **options):
        return self.call("ctr", *words, **options)

    def stop(self):
        """Pods first, by their engine's own means; then whatever still runs here."""
        try:
            if self.service.alive():
                subprocess.run(self.words("crictl", "rmp", "-fa"), env=self.env, capture_output=True, timeout=patience(60), cwd="/")
        finally:
            for pid in _inhabitants(self.holder.pid, self.place) - {self.holder.pid, self.service.pid, self.registry.pid}:
                _kill(pid)
            for service in (self.service, self.registry, self.holder):
                service.stop()
            self._remove_cgroups()
            shutil.rmtree(self.place, ignore_errors=True)

    def _remove_cgroups(self):
        """Those of CGROUPS that were not there before, with what a killed shim left in them."""
        deadline = time.monotonic() + patience(5)
        while (left := _cgroups() - self.strange) and time.monotonic() < deadline:
            for path in (Path(directory) for top in left for directory, _, _ in reversed(list(os.walk(top)))):
                try:
                    path.rmdir()
                except OSError:
                    pass  # still ending
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _cgroups():
    """The ones that are there, in whatever hierarchy."""
    return {path for name in CGROUPS for pattern in (name, f"*/{name}") for path in Path("/sys/fs/cgroup").glob(pattern)}


def _inhabitants(holder, place):
    """The processes in the holder's mount namespace, and in those of containers: their roots' layers are in its place."""
    found, own = set(), os.readlink(f"/proc/{holder}/ns/mnt")
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/ns/mnt") == own or f"={place}/" in Path(f"/proc/{entry}/mountinfo").read_text():
                found.add(int(entry))
        except OSError:
            pass  # it has ended
    return found


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class ControlledCri(Cri):
    """containerd and cloisterd, which is beside the runtime's program."""

    def start(self):
        self.serve()
        super().start()

    def serve(self):
        programs = Path(self.runtime.program).parent
        self.daemon = Service([programs / "cloisterd"], self.place / "cloisterd.log", env={**self.env, "PATH": f"{programs}:{self.env['PATH']}"},
                              prefix=self.inside)
        self.daemon.expect("serving at")

    def inside_call(self, *words):
        """What a command says there."""
        return command(*self.inside, *words, timeout=patience(20))

    def stop(self):
        try:
            super().stop()
        finally:
            self.daemon.stop()
