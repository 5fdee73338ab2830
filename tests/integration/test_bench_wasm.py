"""The part of the bench about the wasm wall: with what is ours alone, in its shortest form, and what is made of its numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.runner import text

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import report as bench_report  # noqa: E402
import wasm  # noqa: E402
import wasm_shared  # noqa: E402

FILES = [work for work in wasm.WORKS if work.files]
CODE = [work for work in wasm.WORKS if not work.files]


@pytest.fixture(scope="module")
def measured(world, binary):
    """(directory, what was said, data): without the peer, which would come from the network."""
    out = world.directory("bench")
    done = subprocess.run([sys.executable, TOP / "bench/run.py", "--only", "wasm", "--quick", "--out", out, "--cloister", binary],
                          capture_output=True, timeout=300, env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/nowhere"})
    assert done.returncode == 0, done
    return out, text(done.stdout), json.loads((out / "results.json").read_text())


@pytest.mark.measures
@pytest.mark.timeout(360)
def test_ours_is_measured(measured):
    _, _, data = measured
    assert data["skipped"] == {}
    found = data["wasm"]
    row = found["rows"][wasm.OURS]
    assert row["failures"] == 0 and 0 < row["p10"] <= row["median"] <= row["p90"] and set(found["rows"]) == {"harness", wasm.OURS}
    assert set(found["memory"]) == {wasm.OURS} and 256 < found["memory"][wasm.OURS] < 16 << 10
    assert {title: set(times) for title, times in found["works"].items()} == {work.title: {wasm.OURS} for work in wasm.WORKS}
    assert all(times[wasm.OURS] > 0 for times in found["works"].values())


@pytest.mark.measures
@pytest.mark.timeout(360)
def test_a_peer_that_cannot_be_had_is_named(measured):
    out, said, data = measured
    reason = data["wasm"]["absent"][wasm.PEER]
    assert reason.startswith("pip could not install it: ") and wasm.PEER not in data["wasm"]["rows"]
    line = f"absent: {wasm.PEER}: {reason}"
    assert line in said.splitlines() and f"- {line}" in (out / "results.md").read_text().splitlines()
    alone = {name for name, *_ in wasm_shared.targets({})}  # these compare us with nobody
    found = {target["name"]: target["verdict"] for target in data["targets"] if target["name"].startswith("wasm:")}
    assert alone < set(found)
    assert {verdict for name, verdict in found.items() if name not in alone} == {"NOT MEASURED"}
    assert "NOT MEASURED" not in {found[name] for name in alone}
    assert not list(out.glob("wasm-*")), "its files are gone"


def made_up(ours, theirs, failures=0):
    """Data in which everything takes that much of it, and one run in so many failed."""
    rows = {name: {"median": value, "failures": failures} for name, value in ((wasm.OURS, ours), (wasm.PEER, theirs), (wasm.JAILED, theirs))}
    return {"wasm": {"rows": rows, "memory": {wasm.OURS: ours, wasm.PEER: theirs},
                     "works": {work.title: {wasm.OURS: ours, wasm.PEER: theirs} for work in wasm.WORKS}}}


def verdicts(data):
    return {name: bench_report.target_row(name, *rest)["verdict"] for name, *rest in wasm.targets(data)}


@pytest.mark.parametrize("ours, hello, memory, code, files", [
    (20, "PASS", "PASS", "PASS", "PASS"), (40, "PASS", "MISS", "PASS", "PASS"), (90, "MISS", "MISS", "PASS", "PASS"),
    (120, "MISS", "MISS", "PASS", "MISS"), (130, "MISS", "MISS", "MISS", "MISS")])
def test_targets(ours, hello, memory, code, files):
    wanted = {"wasm: hello / wasmtime, wall time": hello, "wasm: hello / wasmtime in bwrap, wall time": "reported",
              "wasm: hello / wasmtime, memory": memory,
              **{f"wasm: {work.title}, time / wasmtime": code for work in CODE},
              **{f"wasm: {work.title}, throughput / wasmtime": files for work in FILES},
              **{name: "NOT MEASURED" for name, *_ in wasm_shared.targets({})}}
    assert verdicts(made_up(ours, 100)) == wanted


def test_a_start_that_failed_is_no_measure():
    found = verdicts(made_up(20, 100, failures=1))
    assert found["wasm: hello / wasmtime, wall time"] == found["wasm: hello / wasmtime in bwrap, wall time"] == "NOT MEASURED"
    assert found["wasm: hello / wasmtime, memory"] == "PASS"


@pytest.mark.parametrize("better, verdict", [(1.1, "PASS"), (0.9, "MISS")])
def test_targets_of_a_shared_worker(better, verdict):
    found = {"alone": 35_000 * better, "rate": 8_000 * better, "parked": 48 / better, "delay": 3 / better, "killed": {"median": 2 / better},
             "forked": 0.6 / better}
    assert {bench_report.target_row(*row)["verdict"] for row in wasm_shared.targets(found)} == {verdict}


def test_a_result_that_differs_is_an_error(monkeypatch):
    """Both have to do the same work."""
    class Programs:
        def both(self, *_, **__):
            return {wasm.OURS: ["ours"], wasm.PEER: ["theirs"]}

    monkeypatch.setattr(wasm, "run_work", lambda argv: (len(argv[0]), 1.0, 1.0))
    with pytest.raises(wasm.BenchError, match=f"{wasm.WORKS[0].title}: {wasm.PEER} found 6, not 4"):
        wasm.works(Programs(), Path("/nowhere"), 1)
