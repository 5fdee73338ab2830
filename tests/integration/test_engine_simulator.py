"""A shim and cloisterd under an engine that asks all kinds of things, several at once, and that goes away and comes back: by a seed.

What is asked is the same for the same seed; what may be true of it is a model's (lib/engine_model.py). To repeat one, or to let it go on for long:

    CLOISTER_SIM_SEED=12 CLOISTER_SIM_STEPS=5000 /usr/bin/python3 -m pytest ... test_engine_simulator.py -s
"""

import json
import os
import shutil
import signal
import time

import pytest

from lib import oci_bundle
from lib.cloisterd import Daemon
from lib.engine_model import MODULES, SHIM, TERM, USR1, Kind
from lib.engine_simulator import Simulation
from lib.oci_leaks import OciLeaks
from lib.runner import alive, descendants, poll
from lib.shim import PLACES, Pod
from lib.wasm_guest import compile_guest

STEPS = int(os.environ.get("CLOISTER_SIM_STEPS", 200))
SEEDS = [int(os.environ["CLOISTER_SIM_SEED"])] if "CLOISTER_SIM_SEED" in os.environ else [1, 2, 3, 4, 0]  # 0: another one each time
SLEEP, TRAP = "sleep 1000", "trap 'exit 5' TERM; while :; do sleep 1000 & wait; done"
POD = "a" * 64
WASM = {2: {1: "io.containerd.cloister.v2", 2: {1: "type.googleapis.com/runtimeoptions.v1.Options", 2: {3: 'wall = "wasm"\n'}}}}
BY_SIGNAL = ((TERM, 128 + TERM), (USR1, 128 + USR1))  # of who isn't the first of its namespace


def shell(script, **more):
    return Kind(("sh", "-c", script), **more)


class OfShim:
    """A shim, whose containers are all of one pod."""

    rules, pids_most = SHIM, 1
    kinds = [Kind(("sleep", "1000")), shell(TRAP, by_signal=((TERM, 5),)), shell("exit 3", own=3), shell("sleep 0.05; exit 4", own=4), shell("sleep 0.01", own=0)]
    exec_kinds = [Kind(("sleep", "1000"), by_signal=BY_SIGNAL), shell("exit 7", own=7, by_signal=BY_SIGNAL), shell("sleep 0.03; exit 8", own=8, by_signal=BY_SIGNAL)]

    def __init__(self, pod):
        self.pod, self.events, self.space = pod, pod.events, pod.space
        self.path = pod.start("pod", pod.bundle("pod", "true"))
        self.connect().client.socket.close()
        self.pid, = pod.pids
        self.files = self.open_files()

    def open_files(self):
        """But sockets, as its callers and where it tells events may still be there."""
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{self.pid}/fd") if os.path.lexists(entry.path)]
        return sorted(link for link in links if not link.startswith("socket:")), sum(link.startswith("socket:") for link in links)

    def connect(self):
        return self.pod.connect(self.path)

    def prepare(self, name, kind):
        shutil.rmtree(self.pod.place / name, ignore_errors=True)
        self.pod.bundle(name, *kind.words)

    def message(self, name, call, kinds):
        message = {1: name, **({2: call.exec_id} if call.exec_id else {})}
        if call.method == "Create":
            message |= {2: str(self.pod.place / name), **({6: f"file://{self.pod.place}/{name}.log"} if int(name[1:]) % 2 else {})}
        elif call.method == "Kill":
            message |= {3: int(call.signal), **({4: 1} if call.is_for_all else {})}
        elif call.method == "Exec":
            spec = {"args": kinds[call.exec_id].words, "cwd": "/", "env": [oci_bundle.PATH], "user": {"uid": 0, "gid": 0}}
            message |= {7: {1: "types.containerd.io/opencontainers/runtime-spec/1/Process", 2: json.dumps(spec)}}
        return message

    def check_end(self):
        """It has nothing left, and ends when it is told so."""
        assert not list((PLACES / "runtime" / self.space).iterdir()) if (PLACES / "runtime" / self.space).exists() else True
        poll(lambda: (now := self.open_files())[0] == self.files[0] and now[1] <= self.files[1] + 1, 10, lambda: f"{self.files}, and now {self.open_files()}")
        assert [pid for pid in descendants(self.pid) if pid != self.pid] == []
        self.connect().call("Shutdown", {1: "pod"})
        poll(lambda: not alive(self.pid), 20, "the shim to end")


class OfDaemon:
    """cloisterd, whose modules are partly a pod's."""

    rules, pids_most = MODULES, 2  # the daemon's until its worker is there
    kinds = [Kind(("rest", "1000000")), Kind(("exit", "3"), own=3), Kind(("rest", "30"), own=0), Kind(("trap", "u"), own=128 + signal.SIGABRT)]
    exec_kinds = kinds

    def __init__(self, daemon, guest):
        self.daemon, self.guest, self.events, self.space = daemon, guest, daemon.events, daemon.space
        caller = self.connect()
        caller.pod("Create", {1: POD, 3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one"}}}, 6: WASM})
        caller.pod("Start", {1: POD})

    def connect(self):
        return self.daemon.caller()

    def prepare(self, name, kind):
        shutil.rmtree(self.daemon.place / name, ignore_errors=True)
        self.daemon.bundle(name, self.guest, *kind.words, pod=POD if int(name[1:]) % 2 else None)

    def message(self, name, call, kinds):
        message = {1: name, **({2: call.exec_id} if call.exec_id else {})}
        if call.method == "Create":
            message |= {2: str(self.daemon.place / name)}
        elif call.method == "Kill":
            message |= {3: int(call.signal)}
        return message

    def check_end(self):
        """The pod takes its tenant's worker with it, and that of who was in none."""
        self.connect().pod("Shutdown", {1: POD})
        poll(lambda: descendants(self.daemon.process.pid) in ([], [self.daemon.process.pid]), 20, "the workers to go")
        assert not list((self.daemon.place / "state/pods").iterdir())


@pytest.fixture(scope="module")
def tree(world):
    return oci_bundle.make_rootfs(world.directory("simulator-tree"))


@pytest.fixture(scope="module")
def guest(world):
    return compile_guest(world.directory("simulator-guest"))


@pytest.fixture
def nothing_is_left(world):
    leaks = OciLeaks(world)
    yield
    leaks.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shim(world, tree, nothing_is_left, seed):
    seed = seed or int(time.time())
    print(f"CLOISTER_SIM_SEED={seed} CLOISTER_SIM_STEPS={STEPS}")
    pod = Pod(world, tree)
    with pod.events:
        try:
            Simulation(OfShim(pod), seed, STEPS).run()
        finally:
            pod.stop()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_daemon(world, guest, seed):
    seed = seed or int(time.time())
    print(f"CLOISTER_SIM_SEED={seed} CLOISTER_SIM_STEPS={STEPS}")
    daemon = Daemon(world.directory("simulated", mode=0o700))
    with daemon.events:
        daemon.start()
        try:
            Simulation(OfDaemon(daemon, guest), seed, STEPS).run()
        finally:
            daemon.stop()
