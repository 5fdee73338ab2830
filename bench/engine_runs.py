"""`docker run` and `podman run` of true, each with cloister-oci and with the runtime that it has by default; `ctr run` with our shim and
runc's, and what an idle one of each has of memory."""

import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import measure
from rig import V1_ONLY, BenchError, Competitor, View, need_tool, probe

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lib import engines  # noqa: E402

PARTS = ["engine"]
IMAGE = "bench"
RUN = ["--rm", "--network", "none"]
TRUE = [IMAGE, "/bin/true"]
SHIMS = {"cloister's shim": "io.containerd.cloister.v2", "runc": "io.containerd.runc.v2"}
ROUNDS = 60  # a start takes a fifth of a second


def tree_archive(rig, path):
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "etc", "tmp"):
            archive.add(rig.rootfs / name, name)
    return path


@contextlib.contextmanager
def docker(rig, place, mine):
    """name -> the words of `docker run` with that runtime."""
    archive = tree_archive(rig, place / "tree.tar")
    with engines.Dockerd(place / "docker", flags=[f"--add-runtime=cloister={mine}"]) as daemon:
        daemon.call("import", archive, IMAGE)
        words = [engines.DOCKER, "--host", f"unix://{daemon.socket}", "run", *RUN]
        yield {f"docker run, {name}": [*words, "--runtime", runtime, *TRUE] for name, runtime in (("cloister-oci", "cloister"), ("runc", "runc"))}


@contextlib.contextmanager
def podman(rig, place, mine):
    """The same of Podman, whose own runtime is crun."""
    archive = tree_archive(rig, place / "tree.tar")
    with engines.Podman(place / "podman") as engine:
        engine.call("import", archive, IMAGE)
        flags = engine.argv()[engine.argv().index("podman"):]
        words = ["/usr/bin/env", *(f"{name}={value}" for name, value in engine.env.items()), *map(str, flags)]
        yield {f"podman run, {name}": [*words, "--runtime", path, "run", *RUN, *TRUE] for name, path in (("cloister-oci", str(mine)), ("crun", need_tool("crun")))}


@contextlib.contextmanager
def containerd(rig, place, mine):
    """The same of ctr, with shims; not of an image, which would be mounted and unmounted each time."""
    with engines.Containerd(place / "containerd", shims=mine.parent) as daemon:
        yield {f"ctr run, {name}": daemon.argv("run", "--rm", "--runtime", runtime, "--rootfs", rig.rootfs, "bench", "/bin/true")
               for name, runtime in SHIMS.items()}


def idle_shims(rig, place, mine):
    """name -> KiB (PSS) of a shim whose one container sleeps."""
    found = {}
    with engines.Containerd(place / "idle", shims=mine.parent) as daemon:
        for name, runtime in SHIMS.items():
            daemon.call("run", "-d", "--runtime", runtime, "--rootfs", rig.rootfs, "idle", "/bin/sleep", "1000")
            pid = int(daemon.call("task", "ls").splitlines()[1].split()[1])
            shim = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            rollup = Path(f"/proc/{shim}/smaps_rollup").read_text()
            found[name] = int(rollup.split("\nPss:")[1].split()[0])
            daemon.call("task", "rm", "-f", "idle")
            daemon.call("container", "rm", "idle")
    return found


def engine(rig, rounds):
    """Both of an engine in one view of the cgroup tree: Podman's has v1 alone, which crun needs."""
    mine = rig.cloister.parent / "cloister-oci"
    if not os.access(mine, os.X_OK):
        raise BenchError(f"{mine} is not built")
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="cloister-bench-")))
        rows = []
        for program, make, view in ((engines.DOCKERD, docker, "-"), ("podman", podman, rig.view(View(V1_ONLY))), ("containerd", containerd, "-")):
            try:
                need_tool(program)
                commands = stack.enter_context(make(rig, place, mine))
            except (BenchError, AssertionError, subprocess.SubprocessError) as error:
                rows.append(Competitor(Path(program).name, absent=str(error).splitlines()[0]))
                continue
            rows += [Competitor(name, [str(word) for word in words], 1, view) for name, words in commands.items()]
        for row in rows:
            probe(row)
        absent = {row.name: row.absent for row in rows if row.absent}
        return {"rows": measure.starts(rig, rows, max(10, min(rounds, ROUNDS))), "absent": absent,
                "idle_kib": {} if "containerd" in absent else idle_shims(rig, place, mine)}


def ratio(data, command, default, mine="cloister-oci"):
    rows = data.get("engine", {}).get("rows", {})
    ours, theirs = rows.get(f"{command}, {mine}"), rows.get(f"{command}, {default}")
    if not ours or not theirs or ours["failures"] or theirs["failures"]:
        return None
    return ours["median"] / theirs["median"]


def targets(data):
    idle = data.get("engine", {}).get("idle_kib", {}).get("cloister's shim")
    return [
        ("docker run with cloister-oci / with runc", ratio(data, "docker run", "runc"), "<=", 1.0),
        ("podman run with cloister-oci / with crun", ratio(data, "podman run", "crun"), "<=", 1.0),
        ("ctr run with cloister's shim / with runc's", ratio(data, "ctr run", "runc", "cloister's shim"), "<=", 0.8),
        ("an idle shim, MiB (PSS)", None if idle is None else idle / 1024, "<=", 2),
    ]


def tables(data):
    found = data.get("engine", {}).get("rows", {})
    rows = [[name, f"{row['median'] / 1000:.1f}", f"{row['p10'] / 1000:.1f}", f"{row['p90'] / 1000:.1f}", row["count"], row["failures"]]
            for name, row in found.items()]
    idle = [[name, f"{kib / 1024:.2f}"] for name, kib in data.get("engine", {}).get("idle_kib", {}).items()]
    return [*([("Engines, ms", ["what", "median", "p10", "p90", "runs", "failed"], rows)] if rows else []),
            *([("Idle shims of containerd, MiB (PSS)", ["whose", "memory"], idle)] if idle else [])]


def notes(data):
    return [f"absent: {name}: {reason}" for name, reason in data.get("engine", {}).get("absent", {}).items()]
