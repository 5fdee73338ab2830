"""The public validation programs of the OCI runtime specification: built, run, and what they say.

They are those of the Go module opencontainers/runtime-tools, whose version and those of all it needs are in
tests/conformance/validation/go.mod and go.sum: fetched through Go's proxy, and kept in build/go by the digest
of those two and of Go itself.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.oci import REPOSITORY
from lib.patience import patience
from lib.world import command

MODULE = REPOSITORY / "tests/conformance/validation"
BUILT = REPOSITORY / "build/go"
TOOLS = "github.com/opencontainers/runtime-tools"
CGROUPS = ("cgrouptest", "testdir/cgrouptest/container", "testdir/cgrouptest", "testdir")  # theirs, at the top of each hierarchy
OLDEST_GO = (1, 24)  # which knows the module's list of tools
WITH_CGROUPS = ("linux_cgroups_", "delete_resources", "delete_only_create_resources")
# A runtime may take a program's word that there is no new mount namespace: then this is what it mounts in.
APART = ("unshare", "--mount", "--propagation", "private", "--")
GO = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath", "GOTOOLCHAIN": "local"}  # static: one runs inside


def programs():
    """The names in go.mod."""
    return re.findall(rf"^\s*{TOOLS}/validation/(\w+)$", (MODULE / "go.mod").read_text(), re.M)


def go(*words, **more):
    return command("go", *words, cwd=MODULE, env={**os.environ, **GO}, **more)


def check_go():
    found = re.search(r"go(\d+)\.(\d+)", command("go", "version", cwd="/")) if shutil.which("go") else None
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise RuntimeError(f"the validation programs are built by Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later: "
                           f"{found[0] if found else 'none'} is in PATH; install a later one and put it there first")


def build():
    """The directory with the programs and what they look for; made where it is missing."""
    check_go()
    parts = [(MODULE / name).read_bytes() for name in ("go.mod", "go.sum")] + [go("version").encode()]
    place = BUILT / f"validation-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / "validation.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            fresh = place.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            go("build", "-ldflags", "-s -w", "-o", f"{fresh}/", "tool", timeout=patience(600))
            source = go("list", "-m", "-f", "{{.Dir}}", TOOLS).strip()
            for archive in Path(source).glob("rootfs-*.tar.gz"):
                shutil.copy(archive, fresh)
            fresh.rename(place)
    return place


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
