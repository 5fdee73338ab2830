"""`ctr run` of WebAssembly modules, with containerd 1.6 and 2: by the shim's program, which says that cloisterd has them."""

import signal
import subprocess

import pytest

from lib import go_engines, oci
from lib.cloisterd import Daemon
from lib.engines import Containerd
from lib.patience import patience
from lib.runner import poll
from lib.wasm_guest import compile_guest

RUNTIME = ["--runtime", "io.containerd.cloister.v2"]
WASM = ["--annotation", "run.cloister.wall=wasm"]


@pytest.fixture(scope="module")
def tree(world):
    tree = world.directory("modules-tree")
    compile_guest(tree, "guest").rename(tree / "app.wasm")
    return tree


class Node:
    """containerd, of PROGRAMS, and cloisterd, which tells it of events."""

    def __init__(self, world, tree, programs):
        self.tree, place = tree, world.directory("modules", mode=0o700)
        (place / "daemon").mkdir()
        self.daemon = Daemon(place / "daemon", events=False)
        self.engine = Containerd(place / "containerd", programs=programs, shims=oci.REPOSITORY / "build/bin", more={"CLOISTERD_TASKS": str(self.daemon.tasks)})
        self.daemon.words[self.daemon.words.index("--events") + 1] = f"{self.engine.socket}.ttrpc"

    def run(self, *words, name="one", flags=("--rm",)):
        return subprocess.run([str(word) for word in self.words(*words, name=name, flags=flags)], env=self.engine.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=patience(60))

    def words(self, *words, name, flags):
        return self.engine.argv("run", *flags, *RUNTIME, *WASM, "--rootfs", self.tree, name, "/app.wasm", *words)

    def stop(self):
        self.engine.stop()
        if self.daemon.process is not None and self.daemon.process.poll() is None:
            self.daemon.stop()


@pytest.fixture(scope="module", params=["1.6", "2"])
def node(request, world, tree):
    node = Node(world, tree, "/usr/bin" if request.param == "1.6" else go_engines.programs())
    node.daemon.start()
    yield node
    node.stop()


def test_it_runs(node):
    done = node.run("args", "a", "b c")
    assert (done.returncode, done.stdout) == (0, "[a]\n[b c]\n"), done
    assert node.run("exit", "7").returncode == 7


def test_what_it_says_of_its_end(node):
    done = node.run("trap", "u")
    assert done.returncode == 128 + signal.SIGABRT and "cloister: " in done.stderr


def test_one_that_rests(node):
    """In the background: listed, paused, resumed, measured, killed."""
    assert node.run("rest", "1000", flags=("-d",)).returncode == 0
    assert "RUNNING" in node.engine.call("task", "ls")
    node.engine.call("task", "pause", "one")
    assert "PAUSED" in node.engine.call("task", "ls")
    node.engine.call("task", "resume", "one")
    poll(lambda: "memory" in node.engine.call("task", "metrics", "one"), patience(20), lambda: node.engine.call("task", "metrics", "one"))
    node.engine.call("task", "kill", "-s", "SIGTERM", "one")
    poll(lambda: "STOPPED" in node.engine.call("task", "ls"), patience(20), lambda: node.engine.call("task", "ls"))
    node.engine.call("task", "rm", "one")
    node.engine.call("container", "rm", "one")
    assert "one" not in node.engine.call("task", "ls")


def test_standard_input(node):
    done = subprocess.run([str(word) for word in node.words("cat", name="one", flags=("--rm",))], env=node.engine.env, capture_output=True, input=b"through\n",
                          timeout=patience(60))
    assert (done.returncode, done.stdout) == (0, b"through\n"), done


def test_nobody_who_has_modules(node):
    """What says so is the shim's program; nothing is run behind another wall."""
    node.daemon.stop()
    try:
        done = node.run("args")
        assert done.returncode != 0 and "cloisterd, who has modules, doesn't answer" in done.stderr
    finally:
        node.daemon.start()
