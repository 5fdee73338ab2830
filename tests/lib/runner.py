"""Start cloister as somebody, in some view of the cgroups, and see what came of it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lib.patience import patience

TIMEOUT = 60
V1_ONLY = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified && exec "$@"', "v1-only"]
SECRET = {"CLOISTER_TEST_SECRET": "of-the-caller-only"}


def text(data):
    return data.decode("utf-8", "backslashreplace")


@dataclass
class Outcome:
    argv: list
    exit: int
    out: bytes
    err: bytes
    seconds: float
    result: dict = field(default=None)

    def __str__(self):
        return (f"{' '.join(map(str, self.argv))}\n exit {self.exit} after {self.seconds:.2f} s\n"
                f" stdout {text(self.out[:600])!r}\n stderr {text(self.err[:1500])!r}\n result {self.result}")

    def ok(self):
        assert self.exit == 0, f"{self}"
        return self

    def lines(self):
        return text(self.out).splitlines()

    def word(self):
        return text(self.out).strip()

    def ended(self, status, exit_code=None, hit=None):
        """The result's status, the exit status of the CLI, and a limit that has to be named."""
        assert self.result is not None, f"no result record\n{self}"
        assert self.result["status"] == status, f"{self}"
        if exit_code is not None:
            assert self.exit == exit_code, f"{self}"
        if hit is not None:
            assert hit in self.result["limits_hit"], f"{self}"
        return self

    def refused(self, *needles):
        """Exit 125, nothing on stdout, one line on stderr which holds every needle."""
        assert self.exit == 125, f"{self}"
        assert self.out == b"", f"{self}"
        line = text(self.err)
        assert line.startswith("cloister: ") and line.endswith("\n"), f"{self}"
        assert line.count("\n") == 1, f"more than one line\n{self}"
        assert len(line) > len("cloister: ") + 5, f"no message\n{self}"
        for needle in needles:
            assert re.search(needle, line, re.IGNORECASE), f"no {needle!r} in the message\n{self}"
        return self


class Running:
    """A cloister that is on its way: its output is collected as it comes."""

    def __init__(self, argv, result_path=None, pipes=(True, True, True), **popen):
        self.argv, self.result_path = argv, result_path
        self.started = time.monotonic()
        ends = [subprocess.PIPE if wanted else subprocess.DEVNULL for wanted in pipes]
        popen.setdefault("stdin", ends[0])
        popen.setdefault("stdout", ends[1])
        popen.setdefault("stderr", ends[2])
        self.process = subprocess.Popen([os.fspath(a) for a in argv], bufsize=0, **popen)
        self.pid = self.process.pid
        self.output = {"out": bytearray(), "err": bytearray()}
        self.closed = set()
        self.news = threading.Condition()
        self.readers = []
        for name, pipe in (("out", self.process.stdout), ("err", self.process.stderr)):
            if pipe is not None:
                reader = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
                reader.start()
                self.readers.append(reader)

    def _read(self, name, pipe):
        while True:
            try:
                data = os.read(pipe.fileno(), 1 << 16)
            except (OSError, ValueError):
                data = b""
            with self.news:
                if data:
                    self.output[name] += data
                else:
                    self.closed.add(name)
                self.news.notify_all()
            if not data:
                return

    @property
    def out(self):
        return bytes(self.output["out"])

    @property
    def err(self):
        return bytes(self.output["err"])

    def expect(self, wanted, name="out", timeout=20):
        """Wait until `wanted` was printed; everything printed so far."""
        with self.news:
            came = self.news.wait_for(lambda: wanted in self.output[name] or name in self.closed, patience(timeout))
            assert came and wanted in self.output[name], (
                f"{wanted!r} never came\n {self.argv}\n out {bytes(self.output['out'])!r}\n err {bytes(self.output['err'])!r}")
            return bytes(self.output[name])

    def send(self, data):
        self.process.stdin.write(data)

    def close_stdin(self):
        self.process.stdin.close()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"still running after {timeout} s: {self.argv}\n out {self.out[-300:]!r}\n err {self.err[-300:]!r}") from None
        seconds = time.monotonic() - self.started
        for reader in self.readers:
            reader.join(patience(10))
            assert not reader.is_alive(), f"somebody still holds the output pipe: {self.argv}"
        self._close()
        return Outcome(self.argv, code, self.out, self.err, seconds, read_result(self.result_path))

    def stop(self):
        """Kill it when it is still there; for the ends of tests."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        for reader in self.readers:
            reader.join(5)
        self._close()

    def _close(self):
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def read_result(path):
    if path is None or not path.exists() or path.stat().st_size == 0:
        return None
    return json.loads(path.read_text(encoding="utf-8"))


class Cloister:
    """cloister as one identity, in one view of the cgroups."""

    def __init__(self, world, binary, identity="root", view="own", without=None):
        self.world, self.binary, self.identity, self.view = world, binary, identity, view
        if without is None:
            without = ["limits"] if identity == "user" else []
        self.without = without

    @property
    def has_cgroup(self):
        """Whether its sandboxes have a cgroup: an ordinary user's only where one was delegated."""
        return "limits" not in self.without

    @property
    def uid(self):
        return self.world.user.pw_uid if self.identity == "user" else 0

    @property
    def gid(self):
        return self.world.user.pw_gid if self.identity == "user" else 0

    def prefix(self):
        words = list(V1_ONLY) if self.view == "v1" else []
        if self.identity == "user":
            # not runuser: it stays as a parent, and the tests signal cloister by its pid
            words += ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "--"]
        return words

    def environment(self, extra=None):
        values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **SECRET}
        if self.identity == "user":
            values.update(HOME=str(self.world.home), USER=self.world.user.pw_name,
                          XDG_RUNTIME_DIR=str(self.world.user_runtime), XDG_STATE_HOME=str(self.world.user_kept))
        else:
            values.update(HOME="/root", USER="root")
        # what the sanitised build needs to be told comes from outside
        values.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        values.update(extra or {})
        return {k: v for k, v in values.items() if v is not None}

    def state(self):
        """The state directory of this identity."""
        return self.world.user_runtime / "cloister" if self.identity == "user" else Path("/run/cloister")

    def kept(self):
        """Where what is kept of this identity's detached sandboxes is."""
        return self.world.user_kept / "cloister/sandboxes" if self.identity == "user" else Path("/var/lib/cloister/sandboxes")

    def module_cache(self):
        """Where this identity's compiled modules are, a directory for each tenant."""
        return self.world.home / ".cache/cloister/modules" if self.identity == "user" else Path("/var/cache/cloister/modules")

    def directory(self, name="dir", mode=0o755):
        """A directory on the host that belongs to this identity."""
        return self.world.directory(name, owner=self.identity, mode=mode)

    def argv(self, *arguments):
        return [*self.prefix(), str(self.binary), *map(str, arguments)]

    def call(self, *arguments, timeout=TIMEOUT, env=None, **popen):
        """Any command of cloister; waits for its end."""
        data = popen.pop("input", None)
        if data is None:
            popen.setdefault("stdin", subprocess.DEVNULL)
        started = time.monotonic()
        argv = self.argv(*arguments)
        popen.setdefault("cwd", "/")
        process = subprocess.Popen([os.fspath(a) for a in argv], env=self.environment(env),
                                   stdin=popen.pop("stdin", subprocess.PIPE), stdout=popen.pop("stdout", subprocess.PIPE),
                                   stderr=popen.pop("stderr", subprocess.PIPE), **popen)
        try:
            out, err = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate(timeout=20)
            raise AssertionError(f"still running after {timeout} s: {argv}\n"
                                 f" out {(out or b'')[-300:]!r}\n err {(err or b'')[-300:]!r}") from None
        return Outcome(argv, process.returncode, out or b"", err or b"", time.monotonic() - started)

    def run_words(self, image, command, opts, result=None):
        words = ["run"]
        for layer in self.without:
            words += ["--without", layer]
        if result is not None:
            words += ["--result", str(result)]
        return [*words, *map(str, opts), str(image), *command]

    def result_path(self):
        return self.directory("result") / "result.json"

    def run(self, image, *command, opts=(), result=True, **options):
        """cloister run, waited for; the result record is parsed into the outcome."""
        path = self.result_path() if result else None
        outcome = self.call(*self.run_words(image, command, opts, path), **options)
        outcome.result = read_result(path)
        return outcome

    def detach(self, image, *command, opts=(), **options):
        """cloister run --detach, waited for: its output is the id."""
        return self.call(*self.run_words(image, command, ["-d", *opts], None), **options)

    def start(self, image, *command, opts=(), result=True, env=None, **options):
        """cloister run, left running: use it as a context manager."""
        path = self.result_path() if result else None
        options.setdefault("cwd", "/")
        return Running(self.argv(*self.run_words(image, command, opts, path)), path,
                       env=self.environment(env), **options)


def stat_fields(pid):
    """State, parent and so on of /proc/PID/stat, from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def descendants(pid):
    """Every process below pid, as the host sees them."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents.setdefault(int(stat_fields(entry)[1]), []).append(int(entry))
            except (OSError, IndexError):
                pass  # gone meanwhile
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def children(pid):
    """Those of PID that live."""
    return [int(child) for task in os.listdir(f"/proc/{pid}/task") for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]


def alive(pid):
    try:
        return stat_fields(pid)[0] not in "ZX"
    except (OSError, IndexError):
        return False


def host_pid_of(running, comm):
    """The host's pid of the sandboxed program called comm."""
    deadline = time.monotonic() + patience(10)
    while time.monotonic() < deadline:
        for pid in descendants(running.pid):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == comm:
                    return pid
            except OSError:
                pass
        time.sleep(0.01)
    raise AssertionError(f"no process {comm!r} below {running.pid}")


def descriptors(pid):
    """What a process has open: {number: what it leads to}. Without what it closes meanwhile."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def poll(condition, timeout, what):
    """Wait until condition() is true; fail with `what` (a string or a function) after timeout seconds."""
    deadline = time.monotonic() + patience(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(what() if callable(what) else what)
        time.sleep(0.005)


def signal_exit(number):
    return 128 + int(number)


TERM, INT, KILL, HUP, USR1, USR2 = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP,
                                    signal.SIGUSR1, signal.SIGUSR2)
