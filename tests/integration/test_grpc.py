"""cloister-grpc as cloisterd starts it: a client's connection on descriptor 3, cloisterd's on 4, in its jail."""

import contextlib
import os
import re
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from lib import h2, ttrpc
from lib.leaks import HELPERS
from lib.runner import Cloister, poll
from lib.world import find_binary

KIB = 1 << 10


class Relay:
    """A helper that runs, its client's end and its core's."""

    def __init__(self, helper, connection=None):
        """Of a client that has come with CONNECTION, or of one of ours."""
        self.client = None
        self.core, outer = socket.socketpair()
        if connection is None:
            self.sock, inner = socket.socketpair()
            self.sock.settimeout(20)
        else:
            inner = connection
        self.core.settimeout(20)
        numbers = inner.fileno(), outer.fileno()

        def place():
            high = [os.dup2(number, 100 + index) for index, number in enumerate(numbers)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(helper.argv(), preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=helper.environment(), cwd="/")
        inner.close()
        outer.close()
        if connection is None:
            self.client = h2.Client(self.sock)

    def hear(self):
        """The next call that the core hears: its stream and {number: [values]}."""
        size, stream, kind, flags = ttrpc.HEADER.unpack(self._exactly(ttrpc.HEADER.size))
        assert (kind, flags) == (ttrpc.REQUEST, 0)
        return stream, ttrpc.decode(self._exactly(size))

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.core.recv(size - len(data))
            assert more, "the core's connection has ended"
            data += more
        return data

    def answer(self, stream, payload=None, status=None):
        data = ttrpc.encode({1: status} if status else {2: payload})
        self.core.sendall(ttrpc.HEADER.pack(len(data), stream, ttrpc.RESPONSE, 0) + data)

    def wait(self, stream):
        self.client.read_until(lambda: self.client.answers[stream].ended)
        return self.client.answers[stream]

    def end(self):
        """Its exit status, and what it says."""
        said = self.process.communicate(timeout=20)[1]
        return self.process.returncode, said.decode()

    def close(self):
        if self.client:
            self.client.close()
        self.core.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(params=["root", "user"])
def helper(request, world):
    path = find_binary(world).with_name("cloister-grpc")
    assert path.exists(), f"{path} is not there: run make first"
    return Cloister(world, path, request.param)


@pytest.fixture
def relay(helper):
    with contextlib.closing(Relay(helper)) as made:
        yield made


def test_calls_and_answers(relay):
    first = relay.client.call("/containerd.services.sandbox.v1.Controller/Create", b"one", {"containerd-namespace": "k8s.io", "grpc-timeout": "2S"})
    second = relay.client.call("/test.Test/Two", b"")
    assert relay.hear() == (1, {1: [b"containerd.services.sandbox.v1.Controller"], 2: [b"Create"], 3: [b"one"], 4: [2 * 10 ** 9],
                                5: [ttrpc.encode({1: "containerd-namespace-ttrpc", 2: "k8s.io"})]})
    stream, request = relay.hear()
    assert (stream, request[1], request[2], request.get(5)) == (3, [b"test.Test"], [b"Two"], None)
    relay.answer(3, b"second")
    assert relay.wait(second).payload() == b"second"
    relay.answer(1, status={1: 5, 2: "no sandbox é"})
    answer = relay.wait(first)
    assert (answer[":status"], answer["content-type"], answer["grpc-status"], answer["grpc-message"]) == ("200", "application/grpc", "5", "no sandbox %C3%A9")
    assert answer.body == b""


NAMESPACES = "containerd.services.namespaces.v1.Namespaces"


@pytest.mark.parametrize("status", [None, {1: 5, 2: "none é"}], ids=["answer", "error"])
def test_a_client_of_containerds(helper, world, status):
    """ctr is one of grpc-go's."""
    path = world.directory("grpc") / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        with subprocess.Popen(["ctr", "--address", path, "--namespace", "mine", "--timeout", "20s", "namespaces", "ls", "-q"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as ctr:
            with contextlib.closing(Relay(helper, listener.accept()[0])) as relay:
                stream, request = relay.hear()
                assert (request[1], request[2], request[5]) == ([NAMESPACES.encode()], [b"List"], [ttrpc.encode({1: "containerd-namespace-ttrpc", 2: "mine"})])
                assert 10 * 10 ** 9 < request[4][0] <= 20 * 10 ** 9
                relay.answer(stream, ttrpc.encode({1: [{1: "one"}, {1: "other"}]}), status)
                said = ctr.communicate(timeout=20)[0].decode()
                assert (ctr.returncode, said) == (0, "one\nother\n") if status is None else ctr.returncode == 1 and "none é" in said, said
                assert relay.end() == (0, "")


def test_a_large_answer_takes_its_time(relay):
    stream = relay.client.call("/test.Test/Large", b"x" * 60 * KIB)
    assert relay.hear()[1][3] == [b"x" * 60 * KIB]
    large = os.urandom(4 * 1024 * KIB - 16)
    relay.core.settimeout(None)
    if os.fork() == 0:  # who sends waits for who reads
        relay.answer(1, large)
        os._exit(0)
    assert relay.wait(stream).payload() == large
    assert os.wait()[1] == 0


def test_a_reset_call_is_forgotten(relay):
    gone = relay.client.call("/test.Test/Gone", b"x")
    assert relay.hear()[0] == 1
    relay.client.reset(gone)
    stays = relay.client.call("/test.Test/Stays", b"y")
    assert relay.hear()[0] == 3
    relay.answer(1, b"late")
    relay.answer(3, b"answer")
    assert relay.wait(stays).payload() == b"answer"
    assert relay.client.answers[gone].headers == []


@pytest.mark.parametrize("whose", ["client", "core"])
def test_it_ends_with_either(relay, whose):
    relay.client.call("/test.Test/Waits", b"x")
    relay.hear()
    (relay.sock if whose == "client" else relay.core).close()
    assert relay.end() == (0, "")


def test_a_client_that_breaks_http2_is_let_go_in_silence(relay):
    relay.wait(relay.client.start("/no-call", end=True))
    relay.sock.sendall(h2.frame(h2.DATA, 0, 7, b"of no stream"))
    relay.client.read_until(lambda: relay.client.gone is not None)
    assert relay.client.gone == 1  # PROTOCOL_ERROR
    assert relay.end() == (0, "")


def test_a_core_that_breaks_ttrpc_is_an_error(relay):
    relay.core.sendall(struct.pack(">IIBB", 0, 1, ttrpc.DATA, 0))
    status, said = relay.end()
    assert status == 1 and re.fullmatch(r"the core .*\n", said), said


def test_it_has_nothing_but_the_two(relay, helper):
    relay.wait(relay.client.start("/no-call", end=True))
    pid = relay.process.pid
    status = dict(re.split(r":\s*", line, maxsplit=1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapPrm"], 16), status["Threads"]) == ("2", "1", 0, "1")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == list("01234")
    if helper.identity == "root":
        assert {int(number) for number in status["Uid"].split()} <= set(HELPERS) and status["Groups"] == ""
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max cpu time +unlimited", limits) and re.search(r"Max address space +\d+ ", limits)


def test_an_idle_one_is_small(relay):
    relay.wait(relay.client.start("/no-call", end=True))

    def pss():
        return int(re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{relay.process.pid}/smaps_rollup").read_text(), re.MULTILINE).group(1))

    assert pss() < 1024
    for size in (3000 * KIB, 10):  # and is so again
        stream = relay.client.call("/test.Test/Large", b"x")
        if os.fork() == 0:
            relay.core.settimeout(None)
            relay.answer(relay.hear()[0], b"y" * size)
            os._exit(0)
        assert len(relay.wait(stream).payload()) == size
        assert os.wait()[1] == 0
    poll(lambda: pss() < 1024, 5, lambda: f"{pss()} KiB")


def test_it_is_told_what_is_missing(helper):
    for words, descriptors in ([["word"], "3<&0 4<&0"], [[], "3<&- 4<&-"], [[], "3</dev/null 4</dev/null"]):
        done = subprocess.run([*helper.prefix(), "sh", "-c", f'exec "$@" {descriptors}', "sh", str(helper.binary), *words], capture_output=True,
                              stdin=subprocess.DEVNULL, env=helper.environment(), cwd="/", timeout=20)
        assert done.returncode == 1 and done.stderr.decode().startswith("this program is cloister's: cloister-grpc 3<>CLIENT 4<>CORE")
