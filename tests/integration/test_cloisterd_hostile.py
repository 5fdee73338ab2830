"""cloisterd, built with sanitisers, among bundles, workers and children that do what they shouldn't."""

import ctypes
import os
import resource
import signal
import socket
import struct
import threading

import pytest

from lib import wasm_worker
from lib.cloisterd import CONTROLLER, CREATED, INVALID, NOT_FOUND, OK, PRECONDITION, Daemon, sanitised
from lib.patience import patience
from lib.runner import alive, children, poll
from lib.wasm_guest import compile_guest
from lib.wasm_worker import comm

POD = "a" * 64
WORKERS = "/run/cloister/workers"
TIMED_OUT, UNKNOWN = 4, 2
BIG = ["A=" + "x" * 100_000]  # some such orders are all that a line has room for

# `cloister`: notes what it is told to do, and does what the test has in the directory's `behave`.
CLOISTER = """#!/bin/sh
place={place}
echo "begins $1 $2" >> $place/noted
case $1 in
rm) [ ! -p $place/removing ] || read word < $place/removing ;;
wasm) exec setpriv --pdeathsig KILL sh -c "[ -e $place/silent ] || echo serving >&2; exec sleep 1000" ;;
esac
echo "ends $1 $2" >> $place/noted
"""


@pytest.fixture(scope="module")
def guest(world):
    return compile_guest(world.directory("cloisterd-guest"))


@pytest.fixture
def place(world):
    place = world.directory("cloisterd", mode=0o700)
    (place / "bin").mkdir()
    return place


def program(place, name, text):
    path = place / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def start(place):
    """Starts a daemon with other programs INSTEAD of some."""
    made = []

    def begin(*options, **instead):
        daemon = Daemon(place, "--patience", "1", *options, program=sanitised(place / "bin", **{name.replace("_", "-"): path for name, path in instead.items()}))
        made.append(daemon)
        daemon.events.__enter__()
        return daemon.start()
    yield begin
    for daemon in made:
        daemon.stop()
        daemon.events.__exit__(None, None, None)
        assert "Sanitizer" not in daemon.said() and "runtime error" not in daemon.said(), daemon.said()


class Worker:
    """A tenant's, which we are ourselves: its line is ours to read and to lie on."""

    def __init__(self, daemon, place):
        os.makedirs(WORKERS, mode=0o700, exist_ok=True)
        self.path, self.place = f"{WORKERS}/containerd.{daemon.space}.-", place
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(patience(20))

    def accept(self):
        self.line, _ = self.listener.accept()
        self.line.settimeout(patience(20))
        return self

    def order(self):
        """(kind, guest)"""
        data, fds, _, _ = socket.recv_fds(self.line, 1 << 18, 8)
        for fd in fds:
            os.close(fd)
        version, kind, guest = struct.unpack_from("=IIQ", data)
        assert version == wasm_worker.VERSION
        return kind, guest

    def say(self, kind, guest, status=0, code=0):
        self.line.send(wasm_worker.ANSWER.pack(wasm_worker.VERSION, kind, guest, status, code, 1, 1, 1, 1, 1, b""))

    def noted(self):
        return (self.place / "noted").read_text().splitlines()

    def close(self):
        self.listener.close()
        os.unlink(self.path)


@pytest.fixture
def scene(start, place):
    """A daemon, a caller, and who is the worker."""
    daemon = start(cloister=program(place, "cloister", CLOISTER.format(place=place)))
    worker = Worker(daemon, place)
    yield daemon, daemon.caller(), worker
    worker.close()


def begin_start(caller, name, bundle, **more):
    caller.create(name, bundle)
    return caller.begin("Start", {1: name}, **more)


def end(caller, stream):
    code, why, fields = caller.client.end(stream)
    return code, why


def run(caller, worker, name, bundle):
    """Its guest's number, as of a worker that works."""
    stream = begin_start(caller, name, bundle)
    if not hasattr(worker, "line"):
        worker.accept()
    assert (first := worker.order())[0] == wasm_worker.RUN and worker.order() == (wasm_worker.TELL, first[1])
    worker.say(wasm_worker.TOLD, first[1])
    caller.end(stream)
    return first[1]


# --- bundles

def test_a_fifo_in_place_of_the_configuration(start, guest):
    """Nobody waits for who would write to it: neither the daemon, which looks whether it knows it, nor its child."""
    daemon = start()
    caller = daemon.caller()
    caller.create("known", daemon.bundle("known", guest, "args"))
    bundle = daemon.bundle("one", guest, "args")
    (bundle / "config.json").unlink()
    os.mkfifo(bundle / "config.json")
    caller.refused("Create", {1: "one", 2: str(bundle)}, INVALID, "regular file")
    assert caller.state("known") == CREATED


def test_no_special_file_of_an_image_is_opened(start, guest):
    """To open a device can have effects; what isn't opened for good isn't told by inotify."""
    daemon = start()
    caller = daemon.caller()
    bundle = daemon.bundle("one", guest, "args")
    module = bundle / "rootfs/app.wasm"
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)

    def opened():
        try:
            return os.read(watch, 4096)
        except BlockingIOError:
            return b""
    assert libc.inotify_add_watch(watch, bytes(module), 0x20) > 0  # IN_OPEN
    caller.create("regular", bundle)
    assert opened()  # so it would be told
    module.unlink()
    os.mkfifo(module)
    opened()
    assert libc.inotify_add_watch(watch, bytes(module), 0x20) > 0
    (bundle / "config.json").write_text((bundle / "config.json").read_text() + " ")
    caller.refused("Create", {1: "one", 2: str(bundle)}, INVALID, "regular file")
    assert not opened()
    os.close(watch)


def test_a_fifo_said_to_be_a_file(start, guest):
    daemon = start()
    caller = daemon.caller()
    os.mkfifo(daemon.place / "out")
    caller.create("one", daemon.bundle("one", guest, "args"), stdout=f"file://{daemon.place / 'out'}")
    code, why = end(caller, caller.begin("Start", {1: "one"}))
    assert code != OK and "out" in why
    assert caller.state("one") == CREATED


# --- who prepares

@pytest.fixture
def hanging(start, place, guest):
    """A daemon whose helper that reads configurations never says what it read; a call of Create, and the child that waits."""
    daemon = start(cloister_plan=program(place, "plan", "#!/bin/sh\nexec setpriv --pdeathsig KILL sleep 1000\n"))
    caller = daemon.caller()
    creating = caller.begin("Create", {1: "one", 2: str(daemon.bundle("one", guest, "args"))})
    poll(lambda: [pid for child in children(daemon.process.pid) for pid in children(child) if comm(pid) == "sleep"], patience(20), "the helper to start")
    child, = children(daemon.process.pid)
    return daemon, caller, creating, child


def test_a_preparer_that_dies(hanging):
    """Its end brings no descriptor, so none is closed: it was the daemon's own standard input."""
    daemon, caller, creating, child = hanging
    os.kill(child, signal.SIGKILL)
    code, why = end(caller, creating)
    assert code == UNKNOWN and "not found out" in why
    assert os.readlink(f"/proc/{daemon.process.pid}/fd/0") == "/dev/null"
    caller.refused("State", {1: "one"}, NOT_FOUND)


def test_a_preparer_that_hangs(hanging):
    """Delete ends it."""
    daemon, caller, creating, child = hanging
    caller.refused("Kill", {1: "one", 3: 9}, PRECONDITION)
    assert caller.call("Delete", {1: "one"})[2] == [128 + signal.SIGKILL]
    assert end(caller, creating)[0] == NOT_FOUND
    poll(lambda: not alive(child), patience(20), "the preparer to end")
    caller.refused("State", {1: "one"}, NOT_FOUND)
    assert daemon.events.topics() == []


# --- workers that are broken

def test_one_that_speaks_of_what_it_was_not_told_yet(scene, guest):
    daemon, caller, worker = scene
    starting = [begin_start(caller, str(i), daemon.bundle(str(i), guest, env=BIG)) for i in range(6)]
    worker.accept()
    assert caller.state("5") == CREATED  # all that there is room for has been sent
    worker.say(wasm_worker.TOLD, 6)
    code, why = end(caller, starting[-1])
    assert code != OK and "has ended" in why
    with pytest.raises((EOFError, ConnectionError, AssertionError, struct.error)):
        while True:
            worker.order()
    assert caller.state("5") == CREATED


def test_an_order_that_is_taken_back_loses_no_others(scene, guest):
    daemon, caller, worker = scene
    one, two = (run(caller, worker, name, daemon.bundle(name, guest)) for name in ("one", "two"))
    starting = [begin_start(caller, str(i), daemon.bundle(str(i), guest, env=BIG)) for i in range(6)]
    caller.call("Pause", {1: "one"})
    caller.call("Pause", {1: "two"})
    caller.call("Resume", {1: "one"})
    heard = []
    while (wasm_worker.PAUSE, two) not in heard or (wasm_worker.CONTINUE, one) not in heard:
        heard.append(worker.order())
        if heard[-1][0] == wasm_worker.RUN:
            worker.say(wasm_worker.TOLD, heard[-1][1])
    assert (wasm_worker.PAUSE, one) not in heard
    for stream in starting:
        caller.end(stream)


def test_lies_about_others(scene, guest):
    """Guests that there aren't, kinds and states that there aren't: nothing, or its own affair."""
    daemon, caller, worker = scene
    one = run(caller, worker, "one", daemon.bundle("one", guest))
    waiting = caller.begin("Wait", {1: "one"})
    for guest_number in (0, one + 1, one + 1024, 2**64 - 1):
        for kind in range(6):
            worker.say(kind, guest_number)
    worker.say(77, one), worker.say(wasm_worker.REFUSED, one), worker.say(wasm_worker.TOLD, one)
    worker.say(wasm_worker.ENDED, one, status=99, code=2**32 - 1)
    assert caller.end(waiting)[1] == [128 + signal.SIGKILL]
    worker.say(wasm_worker.ENDED, one, status=wasm_worker.EXITED)
    assert caller.wait("one") == 128 + signal.SIGKILL
    caller.call("Delete", {1: "one"})


@pytest.mark.parametrize("words", [b"x", b"\0" * wasm_worker.ANSWER.size, b"\xff" * wasm_worker.ANSWER.size, b"x" * 5000])
def test_what_is_no_answer(scene, guest, words):
    """Its worker is no more, and removed at once: it may go on, and nobody would hear of it."""
    daemon, caller, worker = scene
    run(caller, worker, "one", daemon.bundle("one", guest))
    assert worker.noted().count("begins rm --force") == 1
    worker.line.send(words)
    assert caller.wait("one") == 128 + signal.SIGKILL
    poll(lambda: worker.noted().count("ends rm --force") == 2, patience(20), worker.noted)


def test_one_that_floods(scene, guest):
    """Others have their turn meanwhile."""
    daemon, caller, worker = scene
    one = run(caller, worker, "one", daemon.bundle("one", guest))
    ends = threading.Event()

    def flood():
        while not ends.is_set():
            worker.say(wasm_worker.TOLD, one)
    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            caller.call("Connect", {1: "one"})
    finally:
        ends.set()
    for thread in threads:
        thread.join()


def test_one_that_ends_nothing(scene, guest):
    """Who was told to end has ended when its worker has had time enough, and so has all else that this runs."""
    daemon, caller, worker = scene
    one = run(caller, worker, "one", daemon.bundle("one", guest))
    run(caller, worker, "two", daemon.bundle("two", guest))
    caller.call("Kill", {1: "one", 3: signal.SIGTERM})
    assert worker.order() == (wasm_worker.END, one)
    assert caller.wait("one") == 128 + signal.SIGKILL == caller.wait("two")
    assert "hasn't ended what it was told to" in daemon.said()
    poll(lambda: worker.noted().count("ends rm --force") == 2, patience(20), worker.noted)


def test_one_that_ends_in_time(scene, guest):
    """The next one has as much time."""
    daemon, caller, worker = scene
    for name in ("one", "two"):
        number = run(caller, worker, name, daemon.bundle(name, guest))
        caller.call("Kill", {1: name, 3: signal.SIGTERM})
        assert worker.order() == (wasm_worker.END, number)
        worker.say(wasm_worker.ENDED, number, wasm_worker.KILLED)
        assert caller.wait(name) == 128 + signal.SIGTERM
    assert worker.noted() == ["begins rm --force", "ends rm --force", "begins wasm serve"]


def test_one_that_never_serves(scene, guest):
    daemon, caller, worker = scene
    (worker.place / "silent").touch()
    code, why = end(caller, begin_start(caller, "one", daemon.bundle("one", guest)))
    assert code == TIMED_OUT and "hasn't begun" in why
    poll(lambda: not children(daemon.process.pid), patience(20), "what was started to end")
    assert caller.state("one") == CREATED
    (worker.place / "silent").unlink()
    starting = caller.begin("Start", {1: "one"})
    worker.accept()
    assert worker.order()[0] == wasm_worker.RUN
    worker.say(wasm_worker.TOLD, 2)
    caller.end(starting)


def test_one_that_cannot_be_reached(scene, guest):
    daemon, caller, worker = scene
    worker.close()
    with socket.socket(socket.AF_UNIX) as other:  # of another kind
        other.bind(worker.path)
        other.listen()
        code, why = end(caller, begin_start(caller, "one", daemon.bundle("one", guest)))
    assert code != OK and "connect to the worker" in why
    poll(lambda: worker.noted().count("ends rm --force") == 2, patience(20), worker.noted)


def test_who_is_killed_before_the_worker_hears_of_it(start, place, guest):
    """There is nothing to wait for."""
    daemon = start("--patience", "1000", cloister=program(place, "cloister", CLOISTER.format(place=place)))
    (place / "silent").touch()
    caller = daemon.caller()
    starting = begin_start(caller, "one", daemon.bundle("one", guest))
    caller.call("Kill", {1: "one", 3: signal.SIGKILL})
    code, why = end(caller, starting)
    assert code != OK and "before it began" in why and caller.wait("one") == 128 + signal.SIGKILL
    caller.call("Delete", {1: "one"})


def test_the_next_one_comes_when_the_last_has_gone(start, place, guest):
    """Or what removes that would remove this."""
    daemon = start("--patience", "1000", cloister=program(place, "cloister", CLOISTER.format(place=place)))
    caller, worker = daemon.caller(), Worker(daemon, place)
    config = {3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one"}, 7: [{1: "run.cloister.wall", 2: "wasm"}]}}}
    for step in ("Create", "Start"):
        caller.pod(step, {1: POD, **(config if step == "Create" else {})})
    run(caller, worker, "one", daemon.bundle("one", guest, pod=POD))
    os.mkfifo(place / "removing")
    caller.pod("Shutdown", {1: POD})
    starting = begin_start(caller, "two", daemon.bundle("two", guest))
    with open(place / "removing", "w") as stream:  # who removes has begun
        assert caller.state("two") == CREATED
        assert worker.noted() == ["begins rm --force", "ends rm --force", "begins wasm serve", "begins rm --force"]
        (place / "removing").unlink()
        stream.write("go on\n")
    worker.accept()
    number = worker.order()[1]
    worker.say(wasm_worker.TOLD, number)
    caller.end(starting)
    assert worker.noted()[3:] == ["begins rm --force", "ends rm --force", "begins wasm serve"]
    worker.close()


# --- pods

def test_a_wait_for_a_pod_that_was_stopped(start):
    daemon = start()
    caller = daemon.caller()
    config = {3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one", 3: "default"}, 7: [{1: "run.cloister.wall", 2: "wasm"}]}}}
    caller.pod("Create", {1: POD, **config})
    caller.pod("Start", {1: POD})
    caller.pod("Stop", {1: POD})
    assert 2 in caller.pod("Wait", {1: POD}) and 2 in caller.pod("Wait", {1: POD})


def test_records_that_are_none(start, place):
    pods = place / "state/pods"
    pods.mkdir(parents=True, mode=0o700)
    (pods / "garbage").write_bytes(b"\xff" * 100)
    (pods / "empty").touch()
    (pods / "large").write_bytes(b"\0" * 100_000)
    (pods / "directory").mkdir()
    (pods / "link").symlink_to("/etc/passwd")
    os.mkfifo(pods / "fifo")
    daemon = start()
    said = daemon.said()
    assert all(f"cloisterd: {name}: " in said for name in ("garbage", "empty", "large", "directory", "link", "fifo")), said
    daemon.caller().refused("Status", {1: POD}, NOT_FOUND, service=CONTROLLER)


# --- the front

def test_no_descriptors_for_a_caller(start):
    """Who comes waits until there are some."""
    daemon = start()
    pid, caller = daemon.process.pid, daemon.caller()
    caller.refused("State", {1: "one"}, NOT_FOUND)  # it has been accepted
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), before[1]))  # the next one's number
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(patience(20))
        peer.connect(str(daemon.address))
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        caller.refused("State", {1: "one"}, NOT_FOUND)
        assert not children(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert peer.recv(9)[3] == 4  # SETTINGS


# --- calls that fail

@pytest.mark.parametrize("first", range(1, 10))
@pytest.mark.parametrize("kind, most", [("alloc", 200), ("syscall", 300)])
def test_calls_that_fail(place, guest, monkeypatch, kind, most, first):
    """Each ninth from the first on: whatever it is told, its caller hears something, and it ends as it should."""
    built = sanitised(place / "bin")
    config = {3: {1: "runtime.v1.PodSandboxConfig", 2: {1: {1: "one"}, 7: [{1: "run.cloister.wall", 2: "wasm"}]}}}
    pod = [(step, {1: POD}, CONTROLLER) for step in ("Start", "Stop", "Wait", "Shutdown")]
    steps = [("Create", {1: POD, **config}, CONTROLLER), pod[0], *((step, {1: "one", **more}, "containerd.task.v3.Task") for step, more in (
        ("Create", {2: None}), ("Start", {}), ("Stats", {}), ("Kill", {3: 9}), ("Wait", {}), ("Delete", {}))), *pod[1:]]
    for number in range(first, most, 9):
        (place / str(number)).mkdir(mode=0o700)
        monkeypatch.setenv("CLOISTER_FAULT", f"self:{kind}:{number}")
        daemon = Daemon(place / str(number), "--patience", "1", events=False, program=built)
        bundle = daemon.bundle("one", guest, "rest", "1000", pod=POD)
        with daemon.events:
            try:
                daemon.start()
                caller = daemon.caller()
                for step, message, service in steps:
                    message = {**message, **({2: str(bundle)} if 2 in message else {})}
                    caller.client.end(caller.begin(step, message, service=service, timeout_ns=2 * 10**9))
            except (AssertionError, EOFError, ConnectionError, FileNotFoundError):
                pass  # it couldn't begin, or go on, or tell its caller
            if daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGTERM)
            status, said = daemon.process.wait(patience(20)), daemon.said()
        daemon.log.close()
        assert status in (0, 1) and "Sanitizer" not in said and "runtime error" not in said, (number, status, said)
        assert status == 0 or said.splitlines()[-1].startswith("cloisterd: "), (number, said)
