"""Detached sandboxes of a test, and what is asked of them."""

import json
import os
import re


class Detached:
    """A detached sandbox: its id, and the commands that name it."""

    def __init__(self, cloister, identifier):
        self.cloister, self.id = cloister, identifier

    def call(self, command, *options, **more):
        return self.cloister.call(command, *options, self.id, **more)

    def inspect(self):
        return json.loads(self.call("inspect").ok().out)[0]

    def exit_status(self):
        return int(self.call("wait").ok().word())

    def logs(self, *options):
        outcome = self.call("logs", *options).ok()
        return outcome.out, outcome.err

    @property
    def place(self):
        return self.cloister.kept() / self.id

    @property
    def supervisor(self):
        return self.inspect()["supervisor_pid"]


def starter(cloister, rootfs):
    """A generator with one function, which starts one; all are removed at the end, and nothing of them stays."""
    def start(*command, opts=(), image=rootfs, **more):
        outcome = cloister.detach(image, *command, opts=opts, **more).ok()
        assert re.fullmatch(rb"[0-9a-f]{16}\n", outcome.out) and outcome.err == b"", f"{outcome}"
        return Detached(cloister, outcome.word())
    yield start
    ids = cloister.call("ps", "-aq").ok().lines()
    if ids:
        cloister.call("rm", "-f", *ids).ok()
    cloister.call("prune").ok()
    assert cloister.call("ps", "-aq").ok().lines() == []
    assert not cloister.kept().exists() or os.listdir(cloister.kept()) == []
