"""cloisterd, with ourselves in containerd's place: its sockets, bundles of modules, and where its events go."""

import itertools
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lib import fifos, ttrpc
from lib.faults import SANITIZERS
from lib.patience import patience
from lib.runner import poll

REPOSITORY = Path(__file__).resolve().parents[2]
DAEMON = REPOSITORY / "build/bin/cloisterd"
CONTROLLER = "containerd.services.sandbox.v1.Controller"
OK, NOT_FOUND, EXISTS, EXHAUSTED, PRECONDITION, UNIMPLEMENTED, INVALID, UNAVAILABLE = 0, 5, 6, 8, 9, 12, 3, 14
CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4
numbers = itertools.count()


class Caller(ttrpc.Service):
    """A connection to the daemon's task service, which takes the controller's calls too; in containerd's namespace SPACE."""

    def __init__(self, path, space):
        self.client, self.space = ttrpc.Client(path), space

    def begin(self, method, message, service="containerd.task.v3.Task", **more):
        return self.client.begin(service, method, message, metadata=[("containerd-namespace-ttrpc", self.space)], **more)

    def pod(self, method, message, **more):
        return self.call(method, message, service=CONTROLLER, **more)

    def state(self, name):
        return self.call("State", {1: name})[4][0]

    def create(self, name, bundle, **streams):
        """STREAMS are in, out and error: paths."""
        paths = {5: streams.get("stdin"), 6: streams.get("stdout"), 7: streams.get("stderr")}
        return self.call("Create", {1: name, 2: str(bundle), **{number: str(path) for number, path in paths.items() if path}})

    def run(self, name, bundle, **streams):
        """Created and started."""
        self.create(name, bundle, **streams)
        return self.call("Start", {1: name})[1][0]

    def wait(self, name):
        """How it ended."""
        return self.call("Wait", {1: name}).get(1, [0])[0]


def sanitised(place, **instead):
    """The daemon of build/bin/asan in a directory of its own, with the programs of build/bin beside it; INSTEAD of some are others."""
    place = Path(place)
    shutil.copy(DAEMON.parent / "asan/cloisterd", place)
    for program in DAEMON.parent.iterdir():
        if program.is_file() and not (place / program.name).exists():
            (place / program.name).symlink_to(instead.get(program.name, program))
    return place / "cloisterd"


class Daemon:
    """CLOISTERD_SANITISED in the environment has it be the sanitised one in all tests."""

    def __init__(self, place, *options, events=True, program=None):
        self.place = Path(place)
        if program is None and "CLOISTERD_SANITISED" in os.environ:
            (self.place / "bin").mkdir()
            program = sanitised(self.place / "bin")
        self.program = program or DAEMON
        self.space = f"test-{os.getpid()}-{next(numbers)}"
        self.events = ttrpc.Events(self.place / "events.sock")
        self.tasks, self.address = self.place / "tasks.sock", self.place / "cloisterd.sock"
        self.words = ["--address", self.address, "--tasks", self.tasks, "--state", self.place / "state",
                      "--events", self.events.path if events else "", *options]
        self.process, self.callers = None, []

    def start(self):
        self.log = open(self.place / "log", "ab")
        self.process = subprocess.Popen([self.program, *map(str, self.words)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/",
                                        env={**os.environ, **SANITIZERS})
        poll(lambda: self.address.exists() or self.process.poll() is not None, patience(20), "the daemon to listen")
        assert self.process.poll() is None, self.said()
        return self

    def said(self):
        return (self.place / "log").read_text()

    def caller(self, space=None):
        caller = Caller(self.tasks, space or self.space)
        self.callers.append(caller)
        return caller

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(patience(20))
        self.log.close()
        return status

    def stop(self):
        if self.process.poll() is None:
            assert self.end() == 0, self.said()

    def bundle(self, name, module, *words, mounts=(), pod=None, env=(), annotations=(), group=None, **resources):
        """One whose root is a directory with MODULE, which runs with WORDS."""
        bundle = self.place / name
        (bundle / "rootfs").mkdir(parents=True)
        os.link(module, bundle / "rootfs/app.wasm")
        spec = {"ociVersion": "1.1.0", "process": {"args": ["/app.wasm", *words], "cwd": "/", "env": list(env), "user": {"uid": 0, "gid": 0}},
                "root": {"path": "rootfs"}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *mounts],
                "linux": {"namespaces": [{"type": "pid"}], "resources": resources}, "annotations": dict(annotations)}
        if group is not None:
            spec["linux"]["cgroupsPath"] = group
        (bundle / "config.json").write_text(json.dumps(spec))
        if pod is not None:
            (bundle / "sandbox").write_text(pod)
        return bundle

    def fifo(self, name):
        return fifos.fifo(self.place, name)
