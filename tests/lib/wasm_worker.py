"""A client of a WebAssembly worker for many guests (src/worker/orders.h), and the worker itself."""

import json
import os
import pathlib
import select
import shutil
import socket
import struct
import threading
import time
from collections import namedtuple

from lib import runner

VERSION = 5
RUN, END, PAUSE, CONTINUE, TELL = range(1, 6)
ENDED, REFUSED, TOLD = range(1, 4)
EXITED, TRAPPED, KILLED, TIME, CPU_TIME, OUTPUT, SIGNALED = range(1, 8)
ANSWER = struct.Struct("=IIQIIQQQQQ300s4x")

Answer = namedtuple("Answer", "kind guest status code run_ns cpu_ns memory_bytes output_bytes error_bytes message")


def order(kind, guest):
    return struct.pack("=IIQ", VERSION, kind, guest)


def run_order(guest, *, args=("guest",), env=(), streams=0, memory=0, tables=0, cpu_ns=0, time_ns=0, output=0, descriptors=64, groups=0):
    strings = b"".join(os.fsencode(text) + b"\0" for text in (*args, *env))
    fields = struct.pack("=QQQQQIIIIII", memory, tables, cpu_ns, time_ns, output, descriptors, streams, len(args), len(env), groups, 0)
    return order(RUN, guest) + fields + strings


class Client:
    """One connection; guests have numbers of this client's."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.next = 1

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, message, fds=()):
        socket.send_fds(self.socket, [message], list(fds)) if fds else self.socket.send(message)

    def run(self, module, *, stdin=None, stdout=None, stderr=None, guest=None, groups=(), **limits):
        """Has MODULE (a descriptor) run; the streams are descriptors, as are the files of cgroups. Its number."""
        if guest is None:
            guest, self.next = self.next, self.next + 1
        given = [stdin, stdout, stderr]
        streams = sum(1 << i for i, fd in enumerate(given) if fd is not None)
        order_bytes = run_order(guest, streams=streams, groups=len(groups), **limits)
        self.send(order_bytes, [module, *(fd for fd in given if fd is not None), *groups])
        return guest

    def tell(self, kind, guest):
        self.send(order(kind, guest))

    def has_answer(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def answer(self):
        """The next one; None: the worker is gone."""
        data = self.socket.recv(ANSWER.size + 1)
        if not data:
            return None
        version, kind, guest, status, code, run, cpu, memory, out, err, message = ANSWER.unpack(data)
        assert version == VERSION
        return Answer(kind, guest, status, code, run, cpu, memory, out, err, message.split(b"\0")[0].decode())


def capture(client, module, *, limit=20, **options):
    """Runs one guest to its end: the answer, its output and its error output."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    try:
        client.run(module, stdout=out_end, stderr=err_end, **options)
        os.close(out_end), os.close(err_end)
        out_end = err_end = -1
        deadline = time.monotonic() + limit
        said = [read_all(out, deadline), read_all(err, deadline)]
        return client.answer(), *said
    finally:
        for fd in (out, err, out_end, err_end):
            if fd >= 0:
                os.close(fd)


def read_all(fd, deadline):
    data = b""
    while time.monotonic() < deadline:
        more = os.read(fd, 1 << 16)
        if not more:
            return data
        data += more
    raise TimeoutError("the stream has no end")


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def socket_name(tenant, model):
    return tenant if model == "coroutine" else f"{tenant}:process"


class Worker:
    """`cloister wasm serve` of a tenant, detached, and clients of it. Its guests take turns, or have processes, as MODEL says."""

    def __init__(self, cloister, tenant, *options, model="coroutine"):
        self.cloister, self.tenant, self.model = cloister, tenant, model
        left_out = [f"--without={layer}" for layer in cloister.without]
        outcome = cloister.call("wasm", "serve", "-d", "--tenant", tenant, "--wasm-model", model, *left_out, *options).ok()
        self.id = outcome.word()
        self.path = cloister.state() / "workers" / socket_name(tenant, model)

    def client(self):
        return Client(self.path)

    def compile(self, module):
        """MODULE compiled for this tenant alone, which must be its first: a descriptor."""
        self.cloister.call("wasm", "compile", "--tenant", self.tenant, module).ok()
        entries = (self.cloister.module_cache() / self.tenant).iterdir()
        whole = (entry for entry in entries if len(entry.name) == 64)  # and not one that somebody is about to write
        made, = (entry for entry in whole if entry.read_bytes().startswith(b"\x7fELF"))  # beside a note of whose it is
        return os.open(made, os.O_RDONLY)

    def pids(self):
        """Of the worker, and of guests that have processes."""
        return [pid for pid in runner.descendants(self.inspect()["supervisor_pid"]) if comm(pid) == "cloister-wasm"]

    def pid(self):
        """Of the worker."""
        return self.pids()[0]  # a process is found before its children

    def inspect(self):
        return json.loads(self.cloister.call("inspect", self.id).ok().out)[0]

    def stop(self):
        self.cloister.call("rm", "-f", self.id)  # it may be gone already, and not by itself
        shutil.rmtree(self.cloister.module_cache() / self.tenant, ignore_errors=True)


def answer(kind=ENDED, status=EXITED, code=0, version=VERSION, run=1, cpu=1, memory=1, out=1, err=1, message=b""):
    """What a worker says of the first guest of a connection."""
    return ANSWER.pack(version, kind, 1, status, code, run, cpu, memory, out, err, message)


class Liar:
    """Listens where a tenant's worker does, and says what it is told to each who comes."""

    def __init__(self, cloister, tenant, model="coroutine"):
        place = cloister.state() / "workers"
        for made in (place.parent, place):  # where no sandbox was before
            made.mkdir(mode=0o700, exist_ok=True)
            os.chown(made, cloister.uid, cloister.gid)
        self.tenant, self.path = tenant, place / socket_name(tenant, model)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.path.chmod(0o777)
        self.listener.listen()

    def lie(self, *answers, tells=()):
        """To the next run ANSWERS, and to each time that it asks what it uses the next of TELLS; then the connection ends."""
        def converse():
            connection, _ = self.listener.accept()
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 1 << 17, 8)
                for fd in fds:
                    os.close(fd)
                for words in answers:
                    connection.send(words)
                for told in tells:
                    if connection.recv(100) != order(TELL, 1):
                        return
                    for words in told:
                        connection.send(words)
        threading.Thread(target=converse, daemon=True).start()
        return self.tenant

    def close(self):
        self.listener.close()
        self.path.unlink()
