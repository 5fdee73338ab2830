"""Files in and out of a sandbox that runs: `cloister cp`."""

import os
import signal
from pathlib import Path

from lib.runner import Running, descendants, poll, text


class Copies:
    """cp in and out of one sandbox (lib/exec.py)."""

    def __init__(self, room):
        self.room, self.cloister, self.name = room, room.cloister, room.name
        self.before = set(self.inside())

    def inside(self):
        """The host's pids of the sandbox."""
        return descendants(self.room.running.pid)

    def cp(self, *words, **options):
        return self.cloister.call("cp", *words, **options)

    def out(self, source, target, *opts, **options):
        return self.cp(*opts, f"{self.name}:{source}", target, **options)

    def into(self, source, target, *opts, **options):
        return self.cp(*opts, source, f"{self.name}:{target}", **options)

    def start(self, *words):
        return Running(self.cloister.argv("cp", *words), env=self.cloister.environment(), cwd="/")

    def porter(self):
        """The host's pid of the process that carries, once it is there."""
        return poll(lambda: [pid for pid in self.inside() if pid not in self.before], 20, "no porter came")[0]

    def gone(self):
        """Waits until nobody is in the sandbox but who was there before."""
        poll(lambda: not set(self.inside()) - self.before, 20, lambda: f"still there: {set(self.inside()) - self.before}")

    def held(self, *words):
        """A copy that stands still in its middle: the client is stopped, the porter waits for it."""
        running = self.start(*words)
        porter = self.porter()
        os.kill(running.pid, signal.SIGSTOP)
        return running, porter


def said(outcome):
    """The lines on standard error."""
    return text(outcome.err).splitlines()


def failed(outcome, line):
    """It failed, and said this alone."""
    assert outcome.exit == 125 and outcome.out == b"" and said(outcome) == [f"cloister: {line}"], str(outcome)


def names(top):
    """What lies below a directory."""
    return sorted(str(path.relative_to(top)) for path in Path(top).rglob("*"))
