"""What an OCI runtime may not leave behind, seen from the host."""

import collections
import os
import signal
import subprocess

from lib.leaks import mounts, open_files
from lib.oci import cgroup_processes, cgroup_tops, reap
from lib.runner import alive, poll


class OciLeaks:
    """Remembers how the host was, and compares; only what these tests' containers can have made."""

    def __init__(self, world):
        self.world = world
        self.mounts, self.files = mounts(), open_files()
        self.pids = world.processes()

    def processes(self):
        """Everything in our cgroups and our containers' that was not there before."""
        found = self.world.processes() | {pid for top in cgroup_tops().values() for pid in cgroup_processes(top)}
        return {pid for pid in found - self.pids if alive(pid)}

    def cgroups(self):
        """The containers' cgroups that are there, below the one that all are in."""
        return sorted(os.path.join(where, name) for top in cgroup_tops().values() for where, names, _ in os.walk(top) for name in names
                      if name != "conmon")  # podman's own, for its monitors

    def new_mounts(self):
        """Those that have come; others go by themselves, when their places are removed in other namespaces."""
        return sorted((collections.Counter(mounts()) - collections.Counter(self.mounts)).elements())

    def check(self, runtimes=(), timeout=5):
        """Nothing is left of any container; what was found is cleared away, so that it fails one test alone."""
        try:
            reap()
            poll(lambda: not self.processes(), timeout, lambda: f"processes left: {[self.describe(pid) for pid in self.processes()]}")
            poll(lambda: not self.new_mounts(), timeout, lambda: f"mounts left: {self.new_mounts()}")
            poll(lambda: not self.cgroups(), timeout, lambda: f"cgroups left: {self.cgroups()}")
            for runtime in runtimes:
                left = [name for identifier in runtime.ids for name in runtime.left_of(identifier)]
                assert not left, f"state left: {left}"
        except AssertionError:
            self.clear()
            raise

    @staticmethod
    def describe(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                return pid, line.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return pid, "gone"

    def clear(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.remove_cgroups()
        for line in reversed(self.new_mounts()):
            where = line.split(" ")[1]
            if where.startswith(str(self.world.base)):
                subprocess.run(["umount", "-l", where], stderr=subprocess.DEVNULL, timeout=20)
        self.mounts = mounts()

    def remove_cgroups(self):
        """What is below the containers' cgroup, and that as well."""
        for top in cgroup_tops().values():
            for where, _, _ in os.walk(top, topdown=False):
                for name in ("freezer.state", "cgroup.freeze"):
                    path = os.path.join(where, name)
                    if os.path.exists(path):
                        with open(path, "w") as file:
                            file.write("THAWED" if name == "freezer.state" else "0")
            poll(lambda top=top: not any(alive(pid) for pid in cgroup_processes(top)), 5, f"processes stay in {top}")
            for where, _, _ in os.walk(top, topdown=False):
                os.rmdir(where)
