"""The public validation programs of the OCI runtime specification: built, run, and what they say.

They are those of the Go module opencontainers/runtime-tools, whose version and those of all it needs are in
tests/conformance/validation/go.mod and go.sum (lib/go_modules.py).
"""

import fcntl
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.go_modules import Module
from lib.oci import REPOSITORY
from lib.patience import patience

TOOLS = "github.com/opencontainers/runtime-tools"
CGROUPS = ("cgrouptest", "testdir/cgrouptest/container", "testdir/cgrouptest", "testdir")  # theirs, at the top of each hierarchy
WITH_CGROUPS = ("linux_cgroups_", "delete_resources", "delete_only_create_resources")
# A runtime may take a program's word that there is no new mount namespace: then this is what it mounts in.
APART = ("unshare", "--mount", "--propagation", "private", "--")


class Tools(Module):
    def finish(self, place, go):
        """The root file systems, which the programs look for where they are started."""
        source = go("list", "-m", "-f", "{{.Dir}}", TOOLS).strip()
        for archive in Path(source).glob("rootfs-*.tar.gz"):
            shutil.copy(archive, place)


MODULE = Tools(REPOSITORY / "tests/conformance/validation", "validation")


def programs():
    """The names in go.mod."""
    return [name for name, package in MODULE.packages().items() if package.startswith(f"{TOOLS}/validation/")]


def build():
    """The directory with the programs and what they look for; made where it is missing."""
    return MODULE.built()


@dataclass
class Said:
    """What a program said: how many checks passed, and the others' texts."""

    passed: int
    failed: list
    text: str


def judge(done):
    """Of a finished process, whose checks are in TAP. A line that says a check is to be done counts as neither."""
    lines = done.stdout.splitlines()
    checks = [re.match(r"(ok|not ok) (\d+)(?: - )?(.*)", line) for line in lines]
    checks = [check for check in checks if check and not re.search(r"# *(TODO|SKIP)", check[0], re.I)]
    said = "; ".join(done.stderr.split("\n")).strip("; ")
    failed = [check[3] + (f": {said}" if check[3].endswith("exit status 1") else "") for check in checks if check[1] == "not ok"]
    if done.returncode != 0:
        failed.append(f"exit {done.returncode}: {said}")
    return Said(sum(check[1] == "ok" for check in checks), failed, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}")


class Validation:
    """Runs them on a runtime of lib/oci.py, with a state directory of its own."""

    def __init__(self, runtime, place):
        self.runtime, self.place = runtime, place
        self.scratch = runtime.directory("validation")
        script = self.scratch / "runtime"
        words = " ".join(f"'{word}'" for word in runtime.argv())
        script.write_text(f"#!/bin/sh\nexec {words} \"$@\"\n")
        script.chmod(0o755)
        self.environment = {**runtime.environment(), "RUNTIME": str(script), "TMPDIR": str(self.scratch)}

    def run(self, name, timeout=60):
        try:
            if not name.startswith(WITH_CGROUPS):
                return judge(self._run(name, timeout))
            with open("/run/cloister-oci-validation.lock", "w") as lock:  # they use the same places, whoever runs them
                fcntl.flock(lock, fcntl.LOCK_EX)
                before = set(self.cgroups())
                done = self._run(name, timeout)
                self.delete_all()
                self.remove_cgroups(before)
                return judge(done)
        finally:
            self.delete_all()

    def _run(self, name, timeout):
        return subprocess.run([*APART, self.place / name], cwd=self.place, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=patience(timeout), check=False)

    @staticmethod
    def cgroups():
        return [path for name in CGROUPS for path in Path("/sys/fs/cgroup").glob(f"*/{name}")] + [
            path for name in CGROUPS if (path := Path("/sys/fs/cgroup", name)).is_dir()]

    def delete_all(self):
        """What programs leave that stop at their first error."""
        for identifier in self.runtime.listed():
            self.runtime.call("delete", "--force", identifier)

    def remove_cgroups(self, before):
        for path in self.cgroups():
            if path not in before:
                path.rmdir()


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    print(build())
