"""A shim with ourselves in containerd's place: its bundles, its task service, where its events go.

    pod = Pod(world, tree)
    with pod.events:
        task = pod.connect(pod.start("one", pod.bundle("one", "sleep", "1000")))
        pod.stop()
"""

import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

from lib import oci, oci_bundle, ttrpc
from lib.patience import patience
from lib.runner import alive, poll

SHIM = oci.REPOSITORY / "build/bin/containerd-shim-cloister-v2"
PLACES = Path("/run/cloister-shim")
OK, NOT_FOUND, EXISTS, PRECONDITION, UNIMPLEMENTED, INVALID = 0, 5, 6, 9, 12, 3
numbers = itertools.count()


class Pod:
    """A shim, its bundles, and where its events go."""

    def __init__(self, world, tree):
        self.place, self.tree, self.space = world.directory("shim", mode=0o700), tree, f"test-{os.getpid()}-{next(numbers)}"
        self.events = ttrpc.Events(self.place / "events.sock")
        self.environment = {"PATH": os.environ["PATH"], "TTRPC_ADDRESS": self.events.path}
        self.pids, self.entry = set(), []  # ENTRY: what the shim's program is started by

    def bundle(self, name, *words, memory=None, **annotations):
        (self.place / name).mkdir()
        bundle = oci_bundle.Bundle(self.place / name, self.tree, f"{oci.slice_name()}/{name}")
        bundle.args(*words)
        if memory is not None:
            bundle.resources(memory={"limit": memory, "swap": memory})
        bundle.annotate(**annotations)
        bundle.write()
        return bundle.directory

    def run(self, action, name, bundle, *flags, more=None, **options):
        words = [*self.entry, SHIM, "-namespace", self.space, "-address", "/run/nobody.sock", "-publish-binary", "/bin/false", "-id", name, *flags, action]
        return subprocess.run(list(map(str, words)), cwd=bundle, env={**self.environment, **(more or {})}, capture_output=True, timeout=patience(30), **options)

    def start(self, name, bundle, **more):
        """Its socket."""
        done = self.run("start", name, bundle, **more)
        assert done.returncode == 0 and done.stderr == b"", done
        address = done.stdout.decode()
        if address.startswith("{"):
            address = json.loads(address)["address"]
        return address.removeprefix("unix://")

    def connect(self, path):
        task = Task(ttrpc.Client(path))
        self.pids.add(task.call("Connect", {1: "any"})[1][0])
        return task

    def stop(self):
        for pid in self.pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        for bundle in self.place.iterdir():
            if (bundle / "address").exists() or (bundle / "config.json").exists():
                assert self.run("delete", bundle.name, bundle).returncode == 0
        poll(lambda: not any(alive(pid) for pid in self.pids), 20, "the shims to go")
        assert not (PLACES / "runtime" / self.space).exists()


class Task(ttrpc.Service):
    """The task service; what isn't refused."""

    def __init__(self, client, version="v2"):
        self.client, self.service = client, f"containerd.task.{version}.Task"

    def begin(self, method, message, **more):
        return self.client.begin(self.service, method, message, **more)

    def create(self, name, bundle, out="", **more):
        return self.call("Create", {1: name, 2: str(bundle), 6: str(out), **more})[1][0]

    def state(self, name, exec_id=""):
        return self.call("State", {1: name, 2: exec_id})[4][0]
