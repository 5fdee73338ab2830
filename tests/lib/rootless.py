"""What an ordinary user may have: a cell of the matrix of identities and cgroups.

Identity: a single uid, as a user without a line in /etc/subuid, whose sandboxes are `strict`; or a range
of sub-uids, with `build`. Cgroups: none of his own, or those that root made and gave to him, as
doctor's cure says (v1; under v2 the one that was delegated to these tests).
"""

import os
import shlex

from lib.outer import Inside
from lib.runner import Cloister, poll
from lib.world import own_cgroups

IDENTITIES, CGROUPS = ("single", "range"), ("none", "given")
GIVEN = ("memory", "pids", "cpu", "cpuacct")


def subordinate(path, user):
    """The first id and the count of the first line that is the user's."""
    with open(path, encoding="ascii") as lines:
        for line in lines:
            name, first, count = line.rstrip("\n").split(":")
            if name in (user.pw_name, str(user.pw_uid)):
                return int(first), int(count)
    raise AssertionError(f"{path} has no line of {user.pw_name}")


def v1_controllers():
    """{controller: the directory of this process}, of those that are v1's."""
    found = {name: path for names, path in own_cgroups().items() for name in names.split(",")}
    return {name: found[name] for name in GIVEN if name in found}


class Cell(Cloister):
    """cloister as the ordinary user of one cell, to whom cgroups of CONTROLLERS were given, if any."""

    def __init__(self, world, binary, identity, cgroups, controllers=GIVEN):
        super().__init__(world, binary, "user", without=[] if cgroups == "given" else ["limits"])
        self.ids, self.profile, self.given = identity, {"single": "strict", "range": "build"}[identity], []
        if cgroups == "given" and not os.environ.get("CLOISTER_DELEGATED"):
            self.given = sorted({path / f"cltest-given-{os.getpid()}" for name, path in v1_controllers().items() if name in controllers})
        for path in self.given:
            path.mkdir()
            os.chown(path, self.uid, self.gid)
        self.hindrance = "true"  # one more thing that root does before, as a shell's words
        self.empty = world.directory("no-ids") / "empty"
        self.empty.touch()

    @property
    def has_range(self):
        return self.ids == "range"

    def place(self):
        """What root does before it becomes the user, as a shell's words."""
        enter = [f"echo $$ >{shlex.quote(str(path))}/tasks" for path in self.given]
        hide = [] if self.has_range else [f"mount --bind {shlex.quote(str(self.empty))} {path}" for path in ("/etc/subuid", "/etc/subgid")]
        return " && ".join([*enter, *hide, self.hindrance])

    def prefix(self):
        return ["unshare", "-m", "sh", "-c", f'{self.place()} && exec "$@"', "cell", *super().prefix()]

    def run_words(self, image, command, opts, result=None):
        return super().run_words(image, command, ["--profile", self.profile, *opts], result)

    def on(self, outer):
        """The same on the host of an Outer."""
        return Inside(outer, self.world, self.binary, "user", without=self.without, more=self.place())

    def outside(self, uid):
        """Who `uid` of a sandbox is on the host."""
        if not self.has_range or uid == 0:
            return self.uid
        return subordinate("/etc/subuid", self.world.user)[0] + uid - 1

    def own_cgroups_left(self):
        return [str(path) for given in self.given for path in given.glob("cloister-*")]

    def close(self):
        """Takes the cgroups back, when all that was in them has ended."""
        for path in self.given:
            poll(lambda path=path: not (path / "tasks").read_text(), 5, f"somebody is left in {path}")
            path.rmdir()
