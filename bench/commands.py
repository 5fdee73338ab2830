"""What is done with sandboxes that run, and many of them one after the other: exec, run -d, stats, cp, a judge's cases."""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import measure
from rig import V1_ONLY, BenchError, Competitor, View, make_bundle, probe

TOP = pathlib.Path(__file__).resolve().parent.parent
PARTS = ["exec", "detach", "stats", "cp", "judge"]
CASES, JUDGE_WORKERS = 200, 4  # two for each of two processors: see docs/judges.md
TRIVIAL = """#include <stdio.h>
int main(void) { int a = 0, b = 0; int read = scanf("%d%d", &a, &b); printf("%d\\n", a + b); return read == 1; }
"""
COPY_FILES, COPY_LARGE = 1000, 64 << 20  # files of 4 KiB, and one of so many bytes


def call(*argv, **options):
    ran = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **options)
    if ran.returncode != 0:
        raise BenchError(f"{' '.join(map(str, argv[:4]))} ...: exit {ran.returncode}: {ran.stderr.strip()[-300:]}")
    return ran.stdout.strip()


@contextlib.contextmanager
def cloister_box(rig, *options):
    """A detached sandbox that sleeps; its id."""
    box = call(*rig.cloister_run("-d", "--rm", "--timeout", "1h", *options, "sleep", measure.SLEEP_TOKEN))
    try:
        yield box
    finally:
        call(rig.cloister, "rm", "-f", box)


@contextlib.contextmanager
def crun_box(rig):
    """The same by crun, which refuses the v1 hybrid: (its name, the view to be in, why there is none)."""
    if shutil.which("crun") is None:
        yield None, "-", "crun is not installed"
        return
    bundle = rig.out / "bundle-sleep"
    make_bundle(bundle, rig.rootfs, True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["/bin/sleep", measure.SLEEP_TOKEN]
    (bundle / "config.json").write_text(json.dumps(config))
    name = f"bench-exec-{os.getpid()}"
    try:
        view = rig.view(View(V1_ONLY))
        enter = ["nsenter", f"--mount={view}", "crun"]
        # not through a pipe: the command keeps its streams
        if subprocess.run([*enter, "run", "-d", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode != 0:
            raise BenchError("crun run -d failed")
    except BenchError as error:
        yield None, "-", str(error)
        return
    try:
        yield name, view, ""
    finally:
        call(*enter, "delete", "-f", name)


def exec_cost(rig, rounds):
    with cloister_box(rig, f"rootfs:{rig.rootfs}") as box, crun_box(rig) as (name, view, why):
        rows = [
            Competitor("harness", [str(rig.out / "nothing")]),
            Competitor("cloister exec", [str(rig.cloister), "exec", box, "true"]),
            Competitor("crun exec", [shutil.which("crun"), "exec", name, "/bin/true"], view=view) if name is not None
            else Competitor("crun exec", absent=why),
        ]
        for row in rows:
            probe(row)
        return {"rows": measure.starts(rig, rows, rounds), "absent": {row.name: row.absent for row in rows if row.absent}}


def detach(rig, rounds):
    """Until run -d has returned; what it started ends beside whoever comes next, as it would anywhere."""
    image = f"rootfs:{rig.rootfs}"
    rows = [
        Competitor("harness", [str(rig.out / "nothing")]),
        Competitor("cloister run -d", rig.cloister_run("-d", "--rm", image, "true")),
        Competitor("cloister run", rig.cloister_run(image, "true")),
    ]
    return {"rows": measure.starts(rig, rows, rounds)}


def stats(rig, alive, rounds):
    rows = [Competitor("harness", [str(rig.out / "nothing")]), Competitor("cloister stats", [str(rig.cloister), "stats", "--no-stream"])]
    probe(rows[1])
    if rows[1].absent:
        raise BenchError(f"cloister stats: {rows[1].absent}")
    sleeper = rig.cloister_run("--timeout", "1h", "-m", "32m", f"rootfs:{rig.rootfs}", "sleep", measure.SLEEP_TOKEN)
    with measure.Sleepers(sleeper, alive):
        return {"alive": alive, "rows": measure.starts(rig, rows, rounds)}


def copy(rig, turns):
    """A tree into a tmpfs: by cp into a sandbox's, and by tar through a pipe into the host's, in turn."""
    times = {"cloister cp": [], "tar | tar": []}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as work, \
            cloister_box(rig, "-m", "2g", "--disk", "1g", f"rootfs:{rig.rootfs}") as box:
        tree, target = pathlib.Path(work, "tree"), pathlib.Path(work, "target")
        tree.mkdir()
        for number in range(COPY_FILES):
            (tree / f"small-{number}").write_bytes(os.urandom(4096))
        (tree / "large").write_bytes(os.urandom(COPY_LARGE))
        for turn in range(turns + 1):
            began = time.monotonic()
            call(rig.cloister, "cp", tree, f"{box}:/tmp/tree-{turn % 2}")
            middle = time.monotonic()
            target.mkdir()
            call("sh", "-c", 'tar -C "$0" -cf - . | tar -C "$1" -xf -', tree, target)
            ended = time.monotonic()
            shutil.rmtree(target)
            if turn > 0:  # the first turn fills caches
                times["cloister cp"].append(middle - began)
                times["tar | tar"].append(ended - middle)
    size = COPY_FILES * 4096 + COPY_LARGE
    return {"bytes": size, "mib_per_second": {name: size / (1 << 20) / statistics.median(values) for name, values in times.items()}}


def judge(rig, turns):
    """The example judge's cases: TURNS times CASES of a trivial program, by as many workers as it has. Beside them, started by
    nobody but the stopwatch: the same commands, and the same program behind the floor's layers."""
    spec = importlib.util.spec_from_file_location("judge", TOP / "docs/examples/judge.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with tempfile.TemporaryDirectory(dir=rig.out) as work, tempfile.TemporaryDirectory(dir="/dev/shm") as output:
        work, output = pathlib.Path(work), pathlib.Path(output)
        work.chmod(0o755)
        (work / "trivial.c").write_text(TRIVIAL)
        (work / "cases").mkdir()
        for number in range(CASES):
            (work / "cases" / f"{number}.in").write_text(f"{number} 1\n")
            (work / "cases" / f"{number}.out").write_text(f"{number + 1}\n")
        one = example.Judge(argparse.Namespace(cloister=str(rig.cloister), without=[], timeout="3s"), work, output)
        if not one.compile(work / "trivial.c"):
            raise BenchError("the trivial program does not compile")
        cases, rates, wrong = sorted((work / "cases").glob("*.in")), [], 0
        shutil.copy(work / "built/program", rig.rootfs / "judged")
        rows = [Competitor("cloister, nobody judging", [str(word) for word in one.command(cases[0], output / "got", output / "record")]),
                Competitor("floor, full", rig.floor_full("/judged"))]
        beside = {row.name: [] for row in rows}
        for turn in range(turns + 1):
            began = time.monotonic()
            lines = list(one.run(cases, JUDGE_WORKERS))
            took_s = time.monotonic() - began
            wrong += sum(line["verdict"] != "AC" for line in lines)
            if turn > 0:  # the first turn fills caches
                rates.append(CASES / took_s)
                for name, row in measure.loops(rig, rows, 1, 1, JUDGE_WORKERS).items():
                    beside[name].append(row["per_second"])
                    wrong += row["failures"]
        (rig.rootfs / "judged").unlink()
    return {"cases": CASES, "workers": JUDGE_WORKERS, "turns": turns, "wrong": wrong, "per_second": statistics.median(rates),
            "beside": {name: statistics.median(values) for name, values in beside.items()}}


def net(data, part, name):
    rows = data.get(part, {}).get("rows", {})
    return rows[name]["median"] - rows["harness"]["median"] if name in rows and "harness" in rows else None


def ratio(top, bottom):
    return None if top is None or not bottom else top / bottom


def targets(data):
    speeds = data.get("cp", {}).get("mib_per_second", {})
    stats_us = net(data, "stats", "cloister stats")
    judged = data.get("judge", {})
    return [
        ("exec of true / crun exec", ratio(net(data, "exec", "cloister exec"), net(data, "exec", "crun exec")), "<=", 0.6),
        ("run -d / run in the foreground", ratio(net(data, "detach", "cloister run -d"), net(data, "detach", "cloister run")), "<=", 1.1),
        ("stats of 200 sandboxes, ms", None if stats_us is None or data["stats"]["alive"] != 200 else stats_us / 1000, "<=", 20),
        ("cp of a tree, throughput / tar through a pipe", ratio(speeds.get("cloister cp"), speeds.get("tar | tar")), ">=", 0.7),
        ("cases a second", judged.get("per_second") if judged.get("wrong") == 0 else None, ">=", 400),
    ]


def tables(data):
    out = []
    rows = [[name, f"{row['median'] / 1000:.3f}", f"{net(data, part, name) / 1000:.3f}", f"{row['p10'] / 1000:.3f}", f"{row['p90'] / 1000:.3f}",
             row["count"], row["failures"]] for part in PARTS for name, row in data.get(part, {}).get("rows", {}).items() if name != "harness"]
    if rows:
        out.append(("Commands, ms", ["what", "median", "less harness", "p10", "p90", "runs", "failed"], rows))
    if data.get("cp"):
        out.append(("Copies, MiB/s", ["what", "throughput"], [[name, f"{value:.0f}"] for name, value in data["cp"]["mib_per_second"].items()]))
    if data.get("judge"):
        j = data["judge"]
        out.append((f"A judge's cases, {j['workers']} at once ({j['wrong']} wrong)", ["", "a second"],
                    [["judge.py", f"{j['per_second']:.0f}"], *([name, f"{rate:.0f}"] for name, rate in j["beside"].items())]))
    return out


def notes(data):
    return [f"absent: {name}: {reason}" for part in PARTS for name, reason in data.get(part, {}).get("absent", {}).items()]
