"""Hostile jobs, and how the limits end them: each with its reason in the result."""

import pytest

from lib.jobs import Job, statuses, steps
from lib.patience import patience


@pytest.fixture
def hostile(as_root, rootfs, nothing_left):
    def run(text, limits, then="echo never"):
        return Job(as_root, {"image": str(rootfs), "policy": {"limits": {"time": f"{patience(30)}s", **limits}}, "steps": steps(text, then)}).run("-q")
    return run


def ended(outcome, status, exit_status, hit):
    assert outcome.exit == exit_status and b"never" not in outcome.out, str(outcome)
    assert outcome.result["status"] == status and outcome.result["steps"][0]["status"] == status, str(outcome)
    assert statuses(outcome)[1] == "skipped"
    assert outcome.result["sandbox"]["result"]["limits_hit"] == hit, str(outcome)
    return outcome


def test_a_fork_bomb(hostile):
    outcome = hostile("f() { f | f; }; f; exit 1", {"tasks": 40, "time": "5s"})
    assert outcome.exit != 0 and b"never" not in outcome.out, str(outcome)
    sandbox = outcome.result["sandbox"]["result"]
    assert "tasks" in sandbox["limits_hit"] and sandbox["usage"]["tasks_peak"] <= 41, str(outcome)


def test_a_miner(hostile):
    outcome = ended(hostile("while :; do :; done", {"cpu_time": "1s"}), "cpu_time", 137, ["cpu_time"])
    assert "cpu-time limit of 1.000s" in outcome.result["error"] and outcome.seconds < patience(20)


def test_a_miner_that_leaves_its_step(hostile):
    """In the background it is in the same sandbox."""
    outcome = hostile("(while :; do :; done) & exit 0", {"cpu_time": "1s"}, then="sleep 1000")
    assert outcome.exit == 137 and statuses(outcome) == ["passed", "cpu_time"], str(outcome)


def test_who_sleeps_for_ever(hostile):
    outcome = ended(hostile("sleep 100000", {"time": "1s"}), "timeout", 124, ["time"])
    assert outcome.seconds < patience(20)


def test_who_takes_all_memory(hostile):
    outcome = hostile("x=$(tr '\\0' x </dev/zero)", {"memory": "64MiB"})
    assert outcome.exit == 137 and outcome.result["status"] == "oom", str(outcome)
    assert outcome.result["sandbox"]["result"]["limits_hit"] == ["memory"]


def test_who_fills_the_disk(hostile):
    outcome = hostile("cat /dev/zero >/tmp/full", {"disk": "8MiB"})
    assert outcome.exit == 1 and outcome.result["status"] == "failed" and b"No space left" in outcome.err, str(outcome)
    assert outcome.result["sandbox"]["result"]["limits_hit"] == ["disk"]


def test_who_floods_the_log(hostile):
    outcome = hostile("yes", {"output": "1MiB"})
    assert outcome.exit == 137 and outcome.result["status"] == "output_limit" and len(outcome.out) == 1 << 20
