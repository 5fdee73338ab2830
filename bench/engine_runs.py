"""`docker run` and `podman run` of true, each with cloister-oci and with the runtime that it has by default."""

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
ROUNDS = 60  # a start takes a fifth of a second


def tree_archive(rig, path):
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "etc", "tmp"):
            archive.add(rig.rootfs / name, name)
    return path


@contextlib.contextmanager
def docker(place, archive, mine):
    """name -> the words of `docker run` with that runtime."""
    with engines.Dockerd(place / "docker", flags=[f"--add-runtime=cloister={mine}"]) as daemon:
        daemon.call("import", archive, IMAGE)
        words = [engines.DOCKER, "--host", f"unix://{daemon.socket}", "run", *RUN]
        yield {"docker run, cloister-oci": [*words, "--runtime", "cloister"], "docker run, runc": [*words, "--runtime", "runc"]}


@contextlib.contextmanager
def podman(place, archive, mine):
    """The same of Podman, whose own runtime is crun."""
    with engines.Podman(place / "podman") as engine:
        engine.call("import", archive, IMAGE)
        flags = engine.argv()[engine.argv().index("podman"):]
        words = ["/usr/bin/env", *(f"{name}={value}" for name, value in engine.env.items()), *map(str, flags)]
        yield {f"podman run, {name}": [*words, "--runtime", path, "run", *RUN] for name, path in (("cloister-oci", str(mine)), ("crun", need_tool("crun")))}


def engine(rig, rounds):
    """Both of an engine in one view of the cgroup tree: Podman's has v1 alone, which crun needs."""
    mine = rig.cloister.parent / "cloister-oci"
    if not os.access(mine, os.X_OK):
        raise BenchError(f"{mine} is not built")
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="cloister-bench-")))
        archive, rows = tree_archive(rig, place / "tree.tar"), []
        for program, make, view in ((engines.DOCKERD, docker, "-"), ("podman", podman, rig.view(View(V1_ONLY)))):
            try:
                need_tool(program)
                commands = stack.enter_context(make(place, archive, mine))
            except (BenchError, AssertionError, subprocess.SubprocessError) as error:
                rows.append(Competitor(Path(program).name, absent=str(error).splitlines()[0]))
                continue
            rows += [Competitor(name, [*words, IMAGE, "/bin/true"], 1, view) for name, words in commands.items()]
        for row in rows:
            probe(row)
        return {"rows": measure.starts(rig, rows, max(10, min(rounds, ROUNDS))), "absent": {row.name: row.absent for row in rows if row.absent}}


def ratio(data, command, default):
    rows = data.get("engine", {}).get("rows", {})
    ours, theirs = rows.get(f"{command}, cloister-oci"), rows.get(f"{command}, {default}")
    if not ours or not theirs or ours["failures"] or theirs["failures"]:
        return None
    return ours["median"] / theirs["median"]


def targets(data):
    return [
        ("docker run with cloister-oci / with runc", ratio(data, "docker run", "runc"), "<=", 1.0),
        ("podman run with cloister-oci / with crun", ratio(data, "podman run", "crun"), "<=", 1.0),
    ]


def tables(data):
    found = data.get("engine", {}).get("rows", {})
    rows = [[name, f"{row['median'] / 1000:.1f}", f"{row['p10'] / 1000:.1f}", f"{row['p90'] / 1000:.1f}", row["count"], row["failures"]]
            for name, row in found.items()]
    return [("Engines, ms", ["what", "median", "p10", "p90", "runs", "failed"], rows)] if rows else []


def notes(data):
    return [f"absent: {name}: {reason}" for name, reason in data.get("engine", {}).get("absent", {}).items()]
