"""A caller who sits at a terminal."""

import fcntl
import os
import struct
import subprocess
import termios
import threading
import time

from lib.patience import patience
from lib.runner import Outcome, read_result


class Terminal:
    """A pseudo-terminal whose other end is the controlling terminal of one cloister."""

    def __init__(self, rows=40, columns=100):
        self.master, self.slave = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = bytearray()
        self.news = threading.Condition()
        self.process = self.result_path = None
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                data = b""
            with self.news:
                self.seen += data
                self.ended = not data
                self.news.notify_all()
            if not data:
                return

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self):
        return termios.tcgetattr(self.slave)

    def start(self, cloister, image, *command, opts=(), result=True, stderr=None):
        """cloister run with the terminal as its standard input, output and error."""
        self.result_path = cloister.result_path() if result else None
        words = cloister.run_words(image, command, opts, self.result_path)
        return self.launch(cloister.argv(*words), cloister.environment({"TERM": "vt100"}), stderr)

    def launch(self, argv, env, stderr=None):
        """Any program in a session of its own, whose controlling terminal this is."""
        self.argv = ["setsid", "-c", "-w", *argv]
        self.process = subprocess.Popen([os.fspath(a) for a in self.argv], env=env,
                                        stdin=self.slave, stdout=self.slave, stderr=stderr or self.slave, cwd="/")
        self.began = time.monotonic()
        return self

    def type(self, data):
        os.write(self.master, data)

    def expect(self, wanted, timeout=20):
        with self.news:
            came = self.news.wait_for(lambda: wanted in self.seen or self.ended, patience(timeout))
            assert came and wanted in self.seen, f"{wanted!r} never came on the terminal: {bytes(self.seen)!r}"
            return bytes(self.seen)

    def wait(self, timeout=30):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
            raise AssertionError(f"still running: {self.argv}\n{bytes(self.seen)!r}") from None
        # what was written before the end arrives in order: a mark of ours comes last
        mark = b"\x00--end of the terminal--\x00"
        os.write(self.slave, mark)
        self.expect(mark)
        out = bytes(self.seen).split(mark)[0]
        return Outcome(self.argv, code, out, b"", time.monotonic() - self.began, read_result(self.result_path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        os.close(self.slave)
        self.reader.join(10)
        os.close(self.master)
