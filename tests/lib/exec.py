"""One more command in a sandbox that runs: `cloister exec`."""

import contextlib
import itertools
import os

from lib.runner import Running, poll

_numbers = itertools.count(1)


class Sandbox:
    """A sandbox that waits, and exec in it."""

    def __init__(self, cloister, name, running):
        self.cloister, self.name, self.running = cloister, name, running

    def exec(self, *command, opts=(), **options):
        """cloister exec, waited for."""
        return self.cloister.call("exec", *opts, self.name, *command, **options)

    def shell(self, script, *opts, **options):
        return self.exec("sh", "-c", script, opts=opts, **options)

    def argv(self, *command, opts=()):
        return self.cloister.argv("exec", *opts, self.name, *command)

    def start(self, *command, opts=(), env=None, **options):
        """cloister exec, left running: use it as a context manager."""
        return Running(self.argv(*command, opts=opts), env=self.cloister.environment(env), cwd="/", **options)

    def bells(self):
        """The clients in bells/."""
        return [n for n in os.listdir(self.cloister.state() / "bells") if not n.isdigit()]


@contextlib.contextmanager
def sandbox(cloister, image, *command, opts=(), env=None):
    """A sandbox whose command, without one, waits to be ended."""
    name = f"exec-{os.getpid()}-{next(_numbers)}"
    command = command or ("sh", "-c", "echo ready; exec sleep 1000")
    with cloister.start(image, *command, opts=["--name", name, *opts], env=env) as running:
        running.expect(b"ready")
        made = Sandbox(cloister, name, running)
        # the record says "running" at about the time when the command says so
        poll(lambda: made.exec("true", env=env).exit == 0, 20, "exec never worked")
        yield made
