"""`cloister wasm serve`: many guests in one worker, by the socket that its clients have."""

import itertools
import os
import resource
import signal
import socket
import struct
import time

import pytest

from lib import wasm_worker as wire
from lib.runner import alive, poll, text
from lib.wasm_guest import compile_guest

MS = 1_000_000
numbers = itertools.count()


@pytest.fixture(scope="session")
def guest(world):
    return compile_guest(world.directory("wasm-serve"))


@pytest.fixture(params=["coroutine", "process"])
def model(request):
    return request.param


@pytest.fixture
def serve(cloister, model):
    """Starts a worker of a tenant that nobody else has."""
    workers = []

    def start(*options):
        workers.append(wire.Worker(cloister, f"serve-{os.getpid()}-{next(numbers)}", *options, model=model))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture
def worker(serve):
    return serve()


@pytest.fixture
def module(worker, guest):
    fd = worker.compile(guest)
    yield fd
    os.close(fd)


def run(client, module, *words, **options):
    """(answer, output, error output) of a guest that was given WORDS."""
    return wire.capture(client, module, args=("guest", *words), **options)


def ended(answer, status, code=0):
    assert (answer.kind, answer.status, answer.code) == (wire.ENDED, status, code), answer
    return answer


class Running:
    """A guest whose output is ours to read."""

    def __init__(self, client, module, *words, **options):
        self.client = client
        self.out, out = os.pipe()
        self.number = client.run(module, stdout=out, stderr=out, args=("guest", *words), **options)
        os.close(out)

    def tell(self, kind):
        self.client.tell(kind, self.number)

    def rest(self):
        try:
            return wire.read_all(self.out, time.monotonic() + 20)
        finally:
            os.close(self.out)


def usage(client, running):
    running.tell(wire.TELL)
    answer = client.answer()
    assert answer.kind == wire.TOLD and answer.guest == running.number
    return answer


def settled(client, running):
    """The processor time of one that is about to stand still: a process takes its signal when it is its turn."""
    seen = [-1]

    def is_still():
        seen.append(usage(client, running).cpu_ns)
        return seen[-1] == seen[-2]

    poll(is_still, 20, "it to stand still")
    return seen[-1]


# --- what a guest is ------------------------------------------------------------------------------


def test_each_has_its_own_streams_arguments_and_status(worker, module):
    with worker.client() as client:
        answer, out, err = run(client, module, "args", "a b", "", "ünï")
        ended(answer, wire.EXITED)
        assert out.decode() == "[a b]\n[]\n[ünï]\n" and err == b""
        assert answer.output_bytes == len(out) and answer.error_bytes == 0
        assert run(client, module, "env", env=("A=1", "B=two words"))[1] == b"A=1\nB=two words\n"
        ended(run(client, module, "exit", "77")[0], wire.EXITED, 77)
        answer, out, err = run(client, module, "cat", "/nothing")
        ended(answer, wire.EXITED, 1)
        assert out == b"" and b"/nothing" in err and answer.error_bytes == len(err)


def test_input_is_waited_for_and_others_run_meanwhile(worker, module):
    with worker.client() as client:
        theirs, ours = os.pipe()
        reader = Running(client, module, "cat", stdin=theirs)
        os.close(theirs)
        for _ in range(20):
            ended(run(client, module)[0], wire.EXITED)
        assert usage(client, reader).cpu_ns < 100 * MS
        os.write(ours, b"late words")
        os.close(ours)
        assert reader.rest() == b"late words"
        assert ended(client.answer(), wire.EXITED).guest == reader.number


def test_without_streams_they_are_as_dev_null(worker, module):
    with worker.client() as client:
        client.run(module, args=("guest", "cat"))
        ended(client.answer(), wire.EXITED)


def test_trap_is_told_with_its_backtrace(worker, module):
    with worker.client() as client:
        answer, out, err = run(client, module, "trap", "d")
        ended(answer, wire.TRAPPED)
        assert "integer division by zero" in answer.message
        assert b"   0: 0x" in err
        ended(run(client, module)[0], wire.EXITED)  # and nobody else is the worse for it


@pytest.mark.parametrize("how", ["u", "m", "s", "c", "a"])
def test_no_trap_is_another_guests(worker, module, how):
    with worker.client() as client:
        sleeper = Running(client, module, "rest", "300")
        ended(run(client, module, "trap", how)[0], wire.TRAPPED)
        assert sleeper.rest() is not None
        assert ended(client.answer(), wire.EXITED).guest == sleeper.number


def test_many_at_once(worker, module):
    with worker.client() as client:
        guests = [Running(client, module, "rest", "200") for _ in range(200)]
        begun = time.monotonic()
        answers = [client.answer() for _ in guests]
        for guest in guests:
            guest.rest()
        assert {answer.guest for answer in answers} == {guest.number for guest in guests}
        for answer in answers:
            ended(answer, wire.EXITED)
            assert answer.run_ns >= 200 * MS
        assert time.monotonic() - begun < 20  # one after the other it would be 40


# --- files ----------------------------------------------------------------------------------------


def test_no_guest_sees_anothers_files(worker, module):
    with worker.client() as client:
        writer = Running(client, module, "rest", "1000")
        ended(run(client, module, "put", "/note", "words")[0], wire.EXITED)
        ended(run(client, module, "put", "/tmp/note", "words")[0], wire.EXITED)
        for _ in range(30):
            ended(run(client, module, "cat", "/note")[0], wire.EXITED, 1)
            assert sorted(run(client, module, "list", "/")[1].split()) == [b".", b"..", b"tmp"]
            assert sorted(run(client, module, "list", "/tmp")[1].split()) == [b".", b".."]
        for path in ("/../.guests", "../1", "/proc/self/mem", "/etc/passwd"):
            ended(run(client, module, "cat", path)[0], wire.EXITED, 1)
        writer.tell(wire.END)
        ended(client.answer(), wire.KILLED)
        writer.rest()


def test_what_guests_leave_is_taken_away(cloister, serve, guest):
    worker = serve("--disk", "8MiB")
    module = worker.compile(guest)
    with worker.client() as client:
        for _ in range(40):  # 40 MiB in all
            answer, _, err = run(client, module, "fill", "/a")
            assert answer.kind == wire.ENDED, err
        poll(lambda: run(client, module, "put", "/b", "words")[0].code == 0, 20, "room")
    os.close(module)


def test_volumes_are_for_all(cloister, serve, guest, world):
    shared = world.directory("wasm-serve-volume", mode=0o777)
    (shared / "in").write_text("from outside")
    (shared / "in").chmod(0o644)
    worker = serve("-v", f"{shared}:/data", "-v", f"{shared}:/copied:copy")
    module = worker.compile(guest)
    with worker.client() as client:
        assert run(client, module, "cat", "/data/in")[1] == b"from outside"
        answer, _, err = run(client, module, "put", "/data/out", "x")
        assert answer.code == 1 and (b"not permitted" in err or b"Read-only" in err or b"insufficient" in err), err
        ended(run(client, module, "put", "/copied/out", "x")[0], wire.EXITED)
        assert run(client, module, "cat", "/copied/out")[1] == b"x"
    assert not (shared / "out").exists()
    os.close(module)


def test_as_many_volumes_as_there_may_be(serve, guest, world):
    shared = world.directory("wasm-serve-volumes", mode=0o777)
    (shared / "in").write_text("from outside")
    (shared / "in").chmod(0o644)
    worker = serve(*(word for i in range(250) for word in ("-v", f"{shared}:/data/{i}")))
    module = worker.compile(guest)
    with worker.client() as client:
        for i in (0, 57, 249):
            assert run(client, module, "cat", f"/data/{i}/in", descriptors=300)[1] == b"from outside"
    os.close(module)


# --- limits ---------------------------------------------------------------------------------------


def test_processor_time_of_one(worker, module):
    with worker.client() as client:
        guest = Running(client, module, "spin", cpu_ns=200 * MS)
        answer = ended(client.answer(), wire.CPU_TIME)
        assert 200 * MS <= answer.cpu_ns <= 210 * MS
        guest.rest()


@pytest.mark.parametrize("words", [("spin",), ("rest", "60000"), ("cat",)])
def test_time_of_one(worker, module, words):
    with worker.client() as client:
        theirs, ours = os.pipe()
        begun = time.monotonic()
        guest = Running(client, module, *words, stdin=theirs, time_ns=300 * MS)
        ended(client.answer(), wire.TIME)
        assert time.monotonic() - begun >= 0.3
        guest.rest()
        os.close(theirs), os.close(ours)


def test_time_goes_on_while_it_is_paused(worker, module):
    with worker.client() as client:
        guest = Running(client, module, "spin", time_ns=500 * MS)
        guest.tell(wire.PAUSE)
        assert ended(client.answer(), wire.TIME).cpu_ns < 400 * MS
        guest.rest()


@pytest.mark.parametrize("limit", [1, 1000, 100_000])
def test_output_of_one(worker, module, limit):
    with worker.client() as client:
        answer, out, err = run(client, module, "flood", output=limit)
        ended(answer, wire.OUTPUT)
        assert len(out) + len(err) == limit == answer.output_bytes + answer.error_bytes


def test_memory_of_one(worker, module):
    with worker.client() as client:
        answer, out, _ = run(client, module, "grow", memory=32 << 20)
        ended(answer, wire.EXITED)
        assert 24 << 20 <= answer.memory_bytes <= 32 << 20
        assert b"MiB" in out or out, out


def test_descriptors_of_one(serve, guest):
    worker = serve("--guests", "2")
    module = worker.compile(guest)
    with worker.client() as client:
        sleepers = [Running(client, module, "rest", "60000") for _ in range(2)]
        client.run(module)
        answer = client.answer()
        assert answer.kind == wire.REFUSED and "has 2 guests" in answer.message
        sleepers[0].tell(wire.END)
        ended(client.answer(), wire.KILLED)
        ended(run(client, module)[0], wire.EXITED)
    os.close(module)
    for sleeper in sleepers:
        sleeper.rest()


# --- orders ---------------------------------------------------------------------------------------


def test_one_that_spins_holds_nobody_up_and_is_ended_alone(worker, module):
    with worker.client() as client:
        spinners = [Running(client, module, "spin") for _ in range(3)]
        for _ in range(10):
            ended(run(client, module)[0], wire.EXITED)
        for spinner in spinners:
            spinner.tell(wire.END)
            assert ended(client.answer(), wire.KILLED).guest == spinner.number
            spinner.rest()
        ended(run(client, module)[0], wire.EXITED)


def test_who_is_paused_uses_nothing_until_it_goes_on(worker, module):
    with worker.client() as client:
        spinner = Running(client, module, "spin")
        spinner.tell(wire.PAUSE)
        before = settled(client, spinner)
        ended(run(client, module, "rest", "100")[0], wire.EXITED)
        assert usage(client, spinner).cpu_ns - before < 5 * MS  # a process that had to wait for its signal takes it then
        spinner.tell(wire.CONTINUE)
        poll(lambda: usage(client, spinner).cpu_ns > before, 20, "it to go on")
        spinner.tell(wire.END)
        ended(client.answer(), wire.KILLED)
        spinner.rest()


def test_paused_while_it_waits_it_goes_on_where_it_was(worker, module):
    with worker.client() as client:
        theirs, ours = os.pipe()
        reader = Running(client, module, "cat", stdin=theirs)
        os.close(theirs)
        reader.tell(wire.PAUSE)
        os.write(ours, b"words")
        os.close(ours)
        ended(run(client, module, "rest", "100")[0], wire.EXITED)
        reader.tell(wire.CONTINUE)
        assert reader.rest() == b"words"
        ended(client.answer(), wire.EXITED)


def test_orders_for_a_guest_that_is_not_there_are_nothing(worker, module):
    with worker.client() as client:
        for kind in (wire.END, wire.PAUSE, wire.CONTINUE, wire.TELL):
            client.tell(kind, 4711)
        ended(run(client, module)[0], wire.EXITED)


def test_a_number_is_one_guests(worker, module):
    with worker.client() as client, worker.client() as other:
        first = Running(client, module, "rest", "60000", guest=5)
        client.run(module, guest=5)
        answer = client.answer()
        assert answer.kind == wire.REFUSED and answer.guest == 5
        second = Running(other, module, "rest", "60000", guest=5)  # each client has its own
        other.tell(wire.END, 5)
        ended(other.answer(), wire.KILLED)
        second.rest()
        assert usage(client, first).kind == wire.TOLD
        client.tell(wire.END, 5)
        ended(client.answer(), wire.KILLED)
        first.rest()


def test_no_client_has_a_guest_of_anothers(worker, module):
    """Whatever number it says."""
    with worker.client() as client, worker.client() as other:
        spinner = Running(client, module, "spin", guest=4711)
        before = usage(client, spinner).cpu_ns
        for number in (4711, 0, 1, 2**32 + 4711, 2**64 - 1):
            for kind in (wire.PAUSE, wire.TELL, wire.CONTINUE, wire.PAUSE, wire.END):
                other.tell(kind, number)
        answer, _, _ = run(other, module)  # all of those were followed before
        ended(answer, wire.EXITED)
        assert answer.guest == 1
        poll(lambda: usage(client, spinner).cpu_ns > before, 20, "it to go on")
        spinner.tell(wire.END)
        ended(client.answer(), wire.KILLED)
        spinner.rest()


def test_the_guests_of_who_is_gone_end(worker, module):
    client = worker.client()
    guests = [Running(client, module, *words) for words in (("spin",), ("rest", "60000"), ("cat",))]
    client.close()
    for guest in guests:
        guest.rest()  # its stream has an end
    with worker.client() as other:
        ended(run(other, module)[0], wire.EXITED)


def test_answers_wait_for_who_does_not_read(worker, module):
    with worker.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sent = 0
        client.socket.settimeout(0.5)
        try:
            for _ in range(5000):
                client.run(module)
                sent += 1
        except TimeoutError:
            pass  # the worker takes no more orders
        with worker.client() as other:
            ended(run(other, module)[0], wire.EXITED)
        client.socket.settimeout(20)
        for _ in range(sent):
            ended(client.answer(), wire.EXITED)


# --- what is no order -----------------------------------------------------------------------------

RUN = wire.run_order(1)
BAD = {
    "short": b"\2",
    "another version": struct.pack("=IIQ", wire.VERSION - 1, wire.TELL, 1),
    "no kind": struct.pack("=IIQ", wire.VERSION, 0, 1),
    "unknown kind": struct.pack("=IIQ", wire.VERSION, 6, 1),
    "too long": wire.order(wire.TELL, 1) + b"x",
    "half a run": RUN[:40],
    "no NUL": RUN[:-1] + b"x",
    "more strings": RUN + b"more\0",
    "fewer strings": RUN[:-6],
    "counts that add up to nothing": RUN[:72] + struct.pack("=II", 0xFFFFFFFF, 2) + RUN[80:],
    "streams that aren't there": RUN[:68] + struct.pack("=I", 8) + RUN[72:],
    "more cgroups than there are": RUN[:80] + struct.pack("=I", 5) + RUN[84:],
    "the largest": struct.pack("=I", wire.VERSION) + b"\xff" * ((128 << 10) - 4),
    "larger": struct.pack("=I", wire.VERSION) + b"\xff" * (150 << 10),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_order_ends_its_client_alone(worker, module, what):
    with worker.client() as client, worker.client() as bad:
        sleeper = Running(client, module, "rest", "300")
        bad.send(BAD[what])
        answer = bad.answer()
        if answer is not None:
            assert answer.kind == wire.REFUSED, answer
            assert bad.answer() is None
        sleeper.rest()
        ended(client.answer(), wire.EXITED)


@pytest.mark.parametrize("fds", [0, 2, 4, 20])
def test_descriptors_that_were_not_announced(worker, module, fds):
    with worker.client() as client:
        client.send(RUN, [module] * fds)
        answer = client.answer()
        assert answer.kind == wire.REFUSED and "descriptors" in answer.message
        ended(run(client, module)[0], wire.EXITED)


def test_what_is_no_module(worker, module, world):
    junk = world.directory("junk") / "junk"
    junk.write_bytes(os.urandom(5000))
    with worker.client() as client:
        for path, flags in ((junk, os.O_RDONLY), ("/dev/null", os.O_RDONLY), ("/", os.O_RDONLY)):
            fd = os.open(path, flags)
            client.run(fd)
            os.close(fd)
            assert client.answer().kind == wire.REFUSED
        ended(run(client, module)[0], wire.EXITED)


# --- the worker -----------------------------------------------------------------------------------


def test_a_worker_that_dies_is_seen_by_all(cloister, serve, guest):
    worker = serve()
    module = worker.compile(guest)
    with worker.client() as client, worker.client() as idle:
        guest = Running(client, module, "rest", "60000")
        poll(lambda: usage(client, guest), 20, "it to run")
        os.kill(worker.pid(), signal.SIGKILL)
        assert client.answer() is None and idle.answer() is None
        guest.rest()
    assert int(cloister.call("wait", worker.id).ok().word()) == 137
    poll(lambda: not worker.path.exists(), 20, "its socket to go")
    os.close(module)


def test_one_worker_for_a_tenant(cloister, worker):
    cloister.call("wasm", "serve", "-d", "--tenant", worker.tenant, *(f"--without={x}" for x in cloister.without)).refused(f"wasm-{worker.tenant}")
    with worker.client() as client:
        client.tell(wire.TELL, 1)
    cloister.call("stop", worker.id).ok()
    cloister.call("rm", worker.id).ok()
    worker.__init__(cloister, worker.tenant, model=worker.model)
    with worker.client() as client:
        client.tell(wire.TELL, 1)


def test_its_place_is_closed_to_others(cloister, worker):
    assert worker.path.parent.stat().st_mode & 0o777 == 0o700
    if cloister.identity == "root":
        pid = os.fork()
        if pid == 0:
            os.setgid(65534), os.setuid(65534)
            try:
                wire.Client(worker.path)
                os._exit(0)
            except PermissionError:
                os._exit(13)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 13


def test_what_is_refused(cloister):
    cloister.call("wasm", "serve").refused("--tenant")
    cloister.call("wasm", "serve", "--tenant", "a/b").refused("tenant")
    cloister.call("wasm", "serve", "--tenant", "x" * 81).refused("80 characters")
    cloister.call("wasm", "serve", "--tenant", "a", "more").refused("takes no arguments")
    cloister.call("wasm", "serve", "--tenant", "a", "--guests", "90000").refused("vm.max_map_count")
    cloister.call("wasm", "serve", "--tenant", "a", "--guests", "0").refused("guests")
    cloister.call("wasm", "compile", "--memory", "1g", "x.wasm").refused("serve's")


def test_address_space_that_there_is_not(cloister):
    """The engine itself would only abort."""
    def little():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 36, 1 << 36))

    left_out = [f"--without={layer}" for layer in cloister.without]
    outcome = cloister.call("wasm", "serve", "--tenant", f"little-{os.getpid()}", *left_out, preexec_fn=little)
    assert outcome.exit == 126 and "1000 guests take " in text(outcome.err) and "ulimit -v" in text(outcome.err), str(outcome)


def test_nothing_stays(cloister, serve, guest):
    worker = serve()
    module = worker.compile(guest)
    supervisor, pid = worker.inspect()["supervisor_pid"], worker.pid()
    with worker.client() as client:
        ended(run(client, module)[0], wire.EXITED)
    cloister.call("stop", worker.id).ok()
    poll(lambda: not alive(supervisor) and not alive(pid), 20, "both to end")
    assert not worker.path.exists()
    os.close(module)
