"""The image parts of the bench: with an image of a few layers, in the fewest rounds, and what is made of their numbers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.images import make_image
from lib.layouts import write_oci_directory
from lib.runner import text
from lib.samples import small_layers

pytestmark = pytest.mark.measures

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import images_erofs  # noqa: E402
import images_pull  # noqa: E402
import images_report  # noqa: E402
import images_run  # noqa: E402
import images_start  # noqa: E402
import rig  # noqa: E402

ROUNDS = 50
NOT_ASKED = "not asked for (--peers)"
OURS, UMOCI, BYTES = images_pull.OURS, "skopeo copy, umoci unpack", images_pull.BYTES
AWAY = ["podman", "umoci"]  # programs that this host has not, as far as the bench knows


@dataclass
class Report:
    out: Path
    said: str
    data: dict

    def target(self, name):
        return next(target for target in self.data["targets"] if target["name"].startswith(name))

    def check_said(self, line):
        assert line in self.said.splitlines() and f"- {line}" in (self.out / "results.md").read_text().splitlines(), self.said


@pytest.fixture(scope="module")
def programs(world):
    directory = world.directory("programs")
    for found in os.environ["PATH"].split(":"):
        for program in Path(found).iterdir() if os.path.isdir(found) else ():
            if program.name not in AWAY and not (directory / program.name).is_symlink():
                (directory / program.name).symlink_to(program)
    return directory


@pytest.fixture(scope="module")
def oci(world):
    """busybox in three layers."""
    image = make_image(small_layers(), {"Env": ["PATH=/bin"]})
    return write_oci_directory(world.directory("oci"), {"latest": image})


def measure(world, path, cloister, *options, status=0):
    out = world.directory("bench")
    done = subprocess.run([sys.executable, TOP / "bench/run.py", "--rounds", str(ROUNDS), "--pulls", "2", "--out", out, "--cloister", cloister, *options],
                          capture_output=True, timeout=170, env={**os.environ, "PATH": str(path)})
    assert done.returncode == status, done
    assert not (out / "images").exists()
    return Report(out, text(done.stdout), json.loads((out / "results.json").read_text()))


@pytest.fixture(scope="module")
def report(world, programs, oci, binary):
    return measure(world, programs, binary, "--oci", oci, "--only", "pulls,layer,pull-warm,image-starts", "--peers", "podman,skopeo")


# ---- a whole run ----

def test_pulls_are_measured(report):
    rows = report.data["pulls"]["rows"]
    assert set(rows) == {OURS, BYTES}, report.said
    assert report.data["pulls"]["image"]["layers"] == 3
    for name, row in rows.items():
        assert (row["count"], row["failures"]) == (2, 0), name
        assert 0 < row["min_s"] <= row["wall_s"] <= row["max_s"], name
        assert f"\n{name} " in report.said
    assert rows[OURS]["cpu_s"] > 0 and 0 < rows[OURS]["peak_kib"] < 64 << 10


def test_peers_that_are_not_measured_are_named(report):
    absent = report.data["pulls"]["absent"]
    assert absent == {"podman pull": "podman is not installed", "containerd 2, ctr image pull": NOT_ASKED, UMOCI: NOT_ASKED, "docker pull": NOT_ASKED}
    for name, why in absent.items():
        report.check_said(f"absent: {name}: {why}")
    assert report.target("cold pull / the best")["verdict"] == "NOT MEASURED"  # skopeo alone makes nothing ready
    assert report.target("cold pull, peak")["value"] > 0


def test_a_layer_has_its_floor(report):
    one = report.data["layer"]
    assert 0 < one["seconds"]["floor"] < one["seconds"]["unpacked"] <= one["seconds"]["ready"]
    assert one["plain_bytes"] > one["compressed_bytes"] > 0 and one["count"] == 2
    assert report.target("one layer of gzip")["value"] == pytest.approx(one["seconds"]["floor"] / one["seconds"]["unpacked"])


def test_warm_pulls_are_counted(report):
    row = report.data["pull-warm"]["cloister pull, layers there"]
    assert (row["count"], row["failures"]) == (ROUNDS, 0)
    assert report.target("pull, layers there")["value"] == pytest.approx(row["median"] / 1000)


def test_starts_of_images(report):
    found = report.data["image-starts"]
    assert found["absent"] == {}
    for name, row in found["rows"].items():
        assert (row["count"], row["failures"]) == (5 * ROUNDS, 0), name
    net = {name: row["median"] - found["rows"]["harness"]["median"] for name, row in found["rows"].items()}
    assert report.target("start, cached image of ten")["value"] == pytest.approx((net[images_start.TEN] - net[images_start.DIRECTORY]) / 1000)
    assert report.target("start, cached image of one")["value"] == pytest.approx(net[images_start.ONE] / net[images_start.BWRAP])
    assert 0 < report.target("resolving")["value"] < 5


def test_nothing_else_was_measured(report):
    assert report.data["skipped"] == {} and "starts" not in report.data and "erofs" not in report.data


def test_parts_without_a_registry_are_skipped(world, oci, binary, programs):
    """--strict makes it the exit status as well."""
    fewer = world.directory("fewer-programs")
    for program in programs.iterdir():
        if program.name != "docker-registry":
            (fewer / program.name).symlink_to(program.readlink())
    report = measure(world, fewer, binary, "--oci", oci, "--only", "pulls,pull-warm", "--strict", status=1)
    for part in ("pulls", "pull-warm"):
        report.check_said(f"skipped: {part}: docker-registry is not installed")
    assert report.target("cold pull, peak")["verdict"] == "NOT MEASURED"


def test_a_program_that_is_missing_is_named(world, programs, oci):
    missing = "/nowhere/cloister"
    report = measure(world, programs, missing, "--oci", oci, "--only", "pulls,pull-warm", "--peers", "umoci")
    report.check_said(f"absent: {OURS}: {missing} is not built")
    report.check_said(f"absent: {UMOCI}: umoci is not installed")
    report.check_said(f"skipped: pull-warm: {missing} is not built")


@pytest.mark.skipif(bool(images_erofs.supported()), reason=f"needs EROFS: {images_erofs.supported()}")
def test_directories_and_erofs_are_compared(world, programs, oci, binary):
    report = measure(world, programs, binary, "--oci", oci, "--only", "erofs", "--pulls", "1")
    assert report.data["skipped"] == {}
    kinds = report.data["erofs"]["kinds"]
    assert list(kinds) == [kind.name for kind in images_erofs.KINDS]
    for name, kind in kinds.items():
        assert all(value > 0 for value in kind["start_us"].values()), name
        assert kind["cache_two"] >= kind["cache_one"] > 0, name
    directories, erofs = kinds[images_erofs.DIRECTORIES.name], kinds[images_erofs.FILE.name]
    assert directories["cache_two"] == directories["cache_one"], "two sandboxes share the pages of a directory"
    assert erofs["make_s"] > 0 and erofs["disk_bytes"] > 0
    assert "\nEROFS, mounted from its file" not in report.said and "layers as" in report.said  # a way is a column


@pytest.mark.parametrize("options", [["--pulls", "0"], ["--peers", "nobody"], ["--only", "pull"]], ids=" ".join)
def test_options_that_are_wrong(options):
    done = subprocess.run([sys.executable, TOP / "bench/run.py", *options], capture_output=True, timeout=20)
    assert done.returncode == 2 and options[0] in text(done.stderr)


# ---- what programs print ----

def test_cpu_time_is_read_with_that_of_children():
    ticks = images_run.TICKS_PER_S
    stat = f"42 (a ) (name) S 1 42 42 0 -1 4194560 1 2 3 4 {ticks} {2 * ticks} {3 * ticks} {4 * ticks} 20 0 1 0 5"
    assert images_run.parse_cpu(stat) == 10


def test_pss_is_read():
    assert images_run.parse_pss("55e0-7fff r--p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss: 412 kB\nPss_Dirty: 3 kB\n") == 412
    assert images_run.parse_pss("") == 0


def test_the_floor_is_read():
    found = images_pull.parse_floor("10\t30\t400\t390\t50\t200\t150\tsha256:a\tsha256:b\n")
    assert found["plain_bytes"] == 30 and found["inflate_ns"] == 200 and (found["blob"], found["plain"]) == ("sha256:a", "sha256:b")
    with pytest.raises(rig.BenchError):
        images_pull.parse_floor("10\t30\n")


def test_a_layer_is_unpacked_with_its_last_event():
    lines = [(0.1, '{"state": "running"}\n'), (0.5, '{"state": "done"}\n'), (0.7, '{"state": "done"}\n'), (0.9, "not JSON\n")]
    assert images_pull.unpacked_at(lines) == 0.7
    with pytest.raises(rig.BenchError):
        images_pull.unpacked_at(lines[:1])


def test_loop_devices_are_found_by_their_mounts():
    mountinfo = ("24 1 254:0 / / rw - ext4 /dev/vda rw\n30 24 7:3 / /base/layers/1/tree ro - erofs /dev/loop3 ro\n"
                 "31 24 7:4 / /other/layers/1/tree ro - erofs /dev/loop4 ro\n32 24 0:55 / /base/layers ro - tmpfs layers ro\n")
    assert images_erofs.loop_devices(mountinfo, "/base/layers") == ["/dev/loop3"]


# ---- what is made of them ----

def pulls_of(**walls):
    row = {"cpu_s": 1, "registry_cpu_s": 1, "settle_s": 1, "peak_kib": 32 << 10, "samples": 9, "count": 5, "failures": 0}
    return {"pulls": {"image": {"layers": 4, "compressed_bytes": 1}, "absent": {},
                      "rows": {name: {**row, "wall_s": wall, "min_s": wall, "max_s": wall} for name, wall in walls.items()}}}


def target(data, start):
    return next(row for row in images_report.targets(data) if row[0].startswith(start))


def test_the_best_peer_makes_the_image_ready():
    data = pulls_of(**{OURS: 2.0, "podman pull": 6.0, UMOCI: 4.0, BYTES: 0.5})
    assert images_report.best_peer(data["pulls"]["rows"]) == (UMOCI, 4.0)
    assert target(data, "cold pull / the best")[1:4] == (0.5, "<=", 0.5)
    assert target(data, "cold pull, peak")[1] == 32
    assert f"the best peer of cold pulls: {UMOCI}" in images_report.notes(data)


def test_a_pull_that_failed_is_said():
    data = pulls_of(**{OURS: 2.0})
    data["pulls"]["rows"][OURS]["failures"] = 1
    assert f"some pulls failed: {OURS}" in images_report.notes(data)


def test_a_summary_has_no_failures_in_it():
    runs = [images_run.Run(wall, 1.0, status) for wall, status in ((2.0, 0), (4.0, 0), (100.0, 1))]
    for run in runs:
        run.registry_cpu_s = run.settle_s = 0.0
    found = images_pull.summary(runs)
    assert (found["wall_s"], found["max_s"], found["count"], found["failures"]) == (3.0, 4.0, 2, 1)
    with pytest.raises(rig.BenchError):
        images_pull.summary(runs[2:])


def test_nothing_measured_gives_no_value():
    assert {row[1] for row in images_report.targets({})} == {None}
    assert images_report.tables({}) == [] and images_report.notes({}) == []
