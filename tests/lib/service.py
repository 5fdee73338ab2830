"""Programs that tests talk to, running beside them: started, waited for, ended by pid."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from lib.patience import patience

START = 20  # seconds that a service may take until it answers
END = 10


class Service:
    """One program in the background; what it prints is kept, line by line, and can be waited for.

    It dies with the thread that started it, even when that is killed.
    """

    def __init__(self, argv, log, env=None, cwd="/", prefix=()):
        self.argv, self.log = [os.fspath(word) for word in argv], Path(log)
        self.lines = []
        self.news = threading.Condition()
        self.ended = False
        # the last prefix execs the next word, so that our pid is the program's own
        words = ["setpriv", "--pdeathsig", "KILL", "--", *prefix, *self.argv]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=cwd)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, name=f"log of {self.argv[0]}", daemon=True)
        self.reader.start()

    def _read(self):
        with open(self.log, "ab", buffering=0) as log:
            for line in self.process.stdout:
                log.write(line)
                with self.news:
                    self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                    self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def expect(self, pattern, timeout=START):
        """Wait until a line matches; the match."""
        wanted = re.compile(pattern)
        seen = 0

        def look():
            nonlocal seen
            while seen < len(self.lines):
                match = wanted.search(self.lines[seen])
                seen += 1
                if match:
                    return match
            return self.ended and "ended"

        with self.news:
            found = self.news.wait_for(look, patience(timeout))
        if found and found != "ended":
            return found
        why = f"ended with {self.process.poll()}" if found else f"did not say {pattern!r} within {timeout} s"
        self.stop()
        raise RuntimeError(f"{self.argv[0]} {why}:\n" + "\n".join(self.lines[-20:]))

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        """Without a word of farewell; what it has started may live on, and hold its output."""
        self.process.kill()
        self.process.wait(patience(END))

    def stop(self):
        """Ask it to end, then make it; nothing of it is left when this returns."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(END)
        self.reader.join(patience(END))
        if self.reader.is_alive():
            raise RuntimeError(f"a child of {self.argv[0]} outlives it: it still holds {self.log}")
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
