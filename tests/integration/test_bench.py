"""The bench, in its shortest form: what it finds is written, adds up, and names what it could not measure.

And one gross measure of speed, for whoever runs the tests alone: a sandbox starts sooner than bubblewrap's. The goals
are make bench's own.
"""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.runner import text

pytestmark = pytest.mark.measures

BENCH = Path(__file__).resolve().parents[2] / "bench/run.py"
ROUNDS = 50  # the fewest
ENGINES = {"crun": "crun", "crun, cgroups disabled": "crun", "runc": "runc"}  # row: program
OURS = {"cloister", "cloister --without limits"}
PRESENT = {"harness", "busybox true, no sandbox", "floor, full", "floor, no cgroups", *OURS, "bwrap"}
# target: the rows of which it is the ratio, and the goal
RATIOS = {"start, default limits / bwrap": ("cloister", "bwrap", 0.7),
          "start, --without limits / bwrap": ("cloister --without limits", "bwrap", 0.6)}
NO_SUCH_PROGRAM = "/nowhere/cloister"
SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Report:
    out: Path
    said: str
    data: dict

    def net(self, name):
        """Median less the harness's own, in microseconds."""
        return self.data["starts"][name]["median"] - self.data["starts"]["harness"]["median"]

    def target(self, name):
        return next(target for target in self.data["targets"] if target["name"] == name)

    def check_absent(self, name, reason):
        """No row, and said everywhere."""
        assert self.data["absent"][name] == reason and name not in self.data["starts"]
        line = f"absent: {name}: {reason}"
        assert line in self.said.splitlines() and f"- {line}" in (self.out / "results.md").read_text().splitlines()


@pytest.fixture(scope="module")
def programs(world):
    """A directory of this host's programs without the engines, which are slow, and few hosts have both."""
    directory = world.directory("programs")
    for found in os.environ["PATH"].split(":"):
        for program in Path(found).iterdir() if os.path.isdir(found) else ():
            if program.name not in ENGINES.values() and not (directory / program.name).is_symlink():
                (directory / program.name).symlink_to(program)
    return directory


def measure(world, programs, cloister, *options, status=0):
    out = world.directory("bench")
    done = subprocess.run([sys.executable, BENCH, "--only", "starts", "--rounds", str(ROUNDS), "--out", out, "--cloister", cloister, *options],
                          capture_output=True, timeout=120, env={**os.environ, "PATH": str(programs)})
    assert done.returncode == status, done
    return Report(out, text(done.stdout), json.loads((out / "results.json").read_text()))


@pytest.fixture(scope="module")
def report(world, programs, binary):
    return measure(world, programs, binary)


@pytest.fixture(scope="module")
def expected():
    """The rows that must be there: the floor knows cgroup v1 alone."""
    return PRESENT if os.path.isdir("/sys/fs/cgroup/memory") else PRESENT - {"floor, full"}


def test_each_row_is_measured(report, expected):
    assert set(report.data["starts"]) == expected
    for name, row in report.data["starts"].items():
        assert row["count"] == ROUNDS and row["failures"] == 0, name
        assert 0 < row["p10"] <= row["p25"] <= row["median"] <= row["p90"], name
        assert name == "harness" or report.net(name) > 0, name


def test_what_is_not_measured_is_named(report, expected):
    for name, program in ENGINES.items():
        report.check_absent(name, f"{program} is not installed")
    assert set(report.data["absent"]) == {*ENGINES, *(PRESENT - expected)}
    assert report.data["skipped"] == {}
    for target in report.data["targets"]:
        assert (target["value"] is None) == (target["name"] not in RATIOS) == (target["verdict"] == "NOT MEASURED"), target


@pytest.mark.parametrize("name", RATIOS)
def test_a_target_is_the_ratio_of_its_rows(report, name):
    ours, theirs, goal = RATIOS[name]
    target, ratio = report.target(name), report.net(ours) / report.net(theirs)
    assert target["value"] == pytest.approx(ratio) and (target["op"], target["goal"]) == ("<=", goal)
    assert target["verdict"] == ("PASS" if ratio <= goal else "MISS")
    if "floor, full" in report.data["starts"]:
        floor = "floor, full" if ours == "cloister" else "floor, no cgroups"
        assert target["floor"] == pytest.approx(report.net(floor) / report.net(theirs))
        line = f"| {name} | {ratio:.2f} | <= {goal} | {target['floor']:.2f} | {target['verdict']} |"
        assert line in (report.out / "results.md").read_text().splitlines()


def test_the_tables_have_the_medians(report):
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (report.out / "results.md").read_text().splitlines()]
    for name, row in report.data["starts"].items():
        assert [name, f"{row['median'] / 1000:.3f}", f"{report.net(name) / 1000:.3f}"] in [line[:3] for line in cells]
        assert f"\n{name} " in report.said


def test_the_chart_has_a_bar_for_each_row(report, expected):
    chart = xml.etree.ElementTree.parse(report.out / "results.svg").getroot()
    assert chart.tag == f"{SVG}svg"
    bars = {title.text for title in chart.iterfind(f".//{SVG}rect/{SVG}title")}
    assert bars == {f"{name}: {report.net(name) / 1000:.2f} ms" for name in expected - {"harness"}}


def test_a_program_that_is_missing_is_a_row_without_a_measure(world, programs):
    """--strict makes it the exit status as well."""
    report = measure(world, programs, NO_SUCH_PROGRAM, "--strict", status=1)
    for name in OURS:
        report.check_absent(name, f"{NO_SUCH_PROGRAM} is not built")
    assert report.net("bwrap") > 0
    assert {report.target(name)["verdict"] for name in RATIOS} == {"NOT MEASURED"}


@pytest.mark.parametrize("name", RATIOS)
def test_a_sandbox_starts_sooner_than_bubblewraps(report, name):
    """By far, on any machine: the goals are 0.7 and 0.6."""
    assert report.target(name)["value"] < 1.0, report.said
