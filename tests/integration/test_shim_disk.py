"""A shim where the file system of its state is full: a small one of its own, in a mount namespace of its own."""

import subprocess

import pytest

from lib import oci_bundle, ttrpc
from lib.runner import alive, poll
from lib.shim import NOT_FOUND, PLACES, Pod, Task

STOPPED, UNKNOWN = 3, 2


class Apart(Pod):
    """The pod's shim, in the mount namespace of a process that waits."""

    def __init__(self, world, tree):
        super().__init__(world, tree)
        script = f"mkdir -p -m 0700 {PLACES} && mount -t tmpfs -o size=128k,mode=0700 small {PLACES} && echo up && exec sleep 1000"
        self.holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"up\n"
        self.inside = ["nsenter", "--target", str(self.holder.pid), "--mount"]
        self.root = f"/proc/{self.holder.pid}/root"

    def run(self, action, name, bundle, *flags, **more):
        self.entry = [*self.inside, f"--wdns={bundle}"]
        return super().run(action, name, bundle, *flags, **more)

    def connect(self, path):
        task = Task(ttrpc.Client(self.root + path))
        self.pids.add(task.call("Connect", {1: "any"})[1][0])
        return task

    def left(self):
        """What there is of containers."""
        done = subprocess.run([*self.inside, "find", str(PLACES / "runtime"), "-type", "f"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return [line for line in done.stdout.splitlines() if self.space in line]

    def fill(self):
        done = subprocess.run([*self.inside, "dd", "if=/dev/zero", f"of={PLACES}/fill", "bs=4096"], capture_output=True, text=True)
        assert done.returncode == 1 and "No space left" in done.stderr, done

    def empty(self):
        subprocess.run([*self.inside, "rm", f"{PLACES}/fill"], check=True)


@pytest.fixture
def pod(world):
    pod = Apart(world, oci_bundle.make_rootfs(world.directory("shim-disk-tree")))
    with pod.holder, pod.events:
        try:
            yield pod
            pod.stop()
        finally:
            pod.holder.kill()


def test_a_full_disk(pod):
    """A container that can't be written down isn't made, and whoever asks hears why; what is there can be ended."""
    bundles = [pod.bundle(name, "sleep", "1000") for name in ("one", "two")]
    task = pod.connect(pod.start("one", bundles[0]))
    pid = task.create("one", bundles[0])
    task.call("Start", {1: "one"})
    pod.fill()
    task.refused("Create", {1: "two", 2: str(bundles[1])}, UNKNOWN, "No space left")
    task.refused("State", {1: "two"}, NOT_FOUND)
    task.call("Kill", {1: "one", 3: 9})
    assert task.call("Wait", {1: "one"})[1] == [137]
    assert task.state("one") == STOPPED and not alive(pid)
    task.call("Delete", {1: "one"})
    assert pod.left() == []
    pod.empty()
    pid = task.create("two", bundles[1])
    assert alive(pid)
    task.call("Delete", {1: "two"})
    task.call("Shutdown", {1: "any"})
    poll(lambda: not any(map(alive, pod.pids)), 20, "the shim to end")
    assert pod.left() == []
