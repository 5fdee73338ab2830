"""The time limit, the grace, signals on the way to the end."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.patience import patience
from lib.runner import text

MARGIN = patience(1.0)  # a busy machine; the exact times are measured below


def test_timeout(cloister, rootfs, nothing_left):
    outcome = cloister.run(rootfs, "sleep", "60", opts=["--timeout", "500ms"])
    outcome.ended("timeout", 124, hit="time")
    assert 0.5 <= outcome.seconds < 0.5 + MARGIN
    assert text(outcome.err).startswith("cloister: ") and outcome.err.count(b"\n") == 1 and b"time" in outcome.err
    nothing_left()


def test_timeout_sends_sigterm_first(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "trap", "3", opts=["--timeout", "500ms", "--stop-grace", "20s"])
    outcome.ended("timeout", 124, hit="time")
    assert outcome.out == b"ready\ngot 15\n"
    assert 0.5 <= outcome.seconds < 0.5 + MARGIN


def test_timeout_kills_after_the_grace(cloister, rootfs, nothing_left):
    outcome = cloister.run(rootfs, "probe", "trap", opts=["--timeout", "400ms", "--stop-grace", "600ms"])
    outcome.ended("timeout", 124, hit="time")
    assert outcome.out == b"ready\ngot 15\n"
    assert 1.0 <= outcome.seconds < 1.0 + MARGIN
    nothing_left()


def test_a_program_that_ends_in_time(cloister, rootfs):
    outcome = cloister.run(rootfs, "true", opts=["--timeout", "20s"]).ok()
    assert outcome.seconds < patience(10) and outcome.result["limits_hit"] == []


def test_the_limit_goes_on_while_the_machine_sleeps(cloister, rootfs):
    with cloister.start(rootfs, "probe", "wait", opts=["--timeout", "1000s"]) as running:
        running.expect(b"ready\n")
        shown = [path.read_text() for path in Path(f"/proc/{running.pid}/fdinfo").iterdir()]
    timers = re.findall(r"^clockid: (\d+)\n(?:.*\n)*?it_value: \((\d+),", "".join(shown), re.MULTILINE)  # proc_pid_fdinfo(5)
    assert [int(clock) for clock, left in timers if 900 <= int(left) < 1000] == [time.CLOCK_BOOTTIME], shown


def assert_lasted(outcome, seconds):
    """The clock starts with the sandbox, before the program is executed: on a busy machine some time before."""
    spent = outcome.result["time_ns"]
    assert (spent["setup"] + spent["run"]) / 1e9 >= seconds, str(outcome)
    assert spent["run"] / 1e9 < seconds + 0.1, str(outcome)


@pytest.mark.measures
@pytest.mark.parametrize("limit", [0.25, 1.0, 2.0])
def test_timeouts_are_exact(cloister, rootfs, limit):
    outcome = cloister.run(rootfs, "sleep", "60", opts=["--timeout", f"{int(limit * 1000)}ms"])
    outcome.ended("timeout", 124)
    assert_lasted(outcome, limit)


@pytest.mark.measures
def test_the_grace_is_exact(cloister, rootfs):
    outcome = cloister.run(rootfs, "probe", "trap", opts=["--timeout", "300ms", "--stop-grace", "500ms"])
    assert_lasted(outcome, 0.8)


def test_a_stopped_program_times_out_too(cloister, rootfs):
    outcome = cloister.run(rootfs, "sh", "-c", "kill -STOP $$; sleep 60", opts=["--timeout", "500ms", "--stop-grace", "200ms"])
    outcome.ended("timeout", 124)


def test_time_out_with_output_that_nobody_reads(cloister, rootfs):
    with cloister.start(rootfs, "yes", opts=["--timeout", "500ms", "--stop-grace", "100ms"], pipes=(False, False, True)) as running:
        assert running.wait(15).exit == 124


def test_timeout_holds_while_the_callers_pipe_is_full(cloister, rootfs):
    path = cloister.result_path()
    argv = cloister.argv(*cloister.run_words(rootfs, ["yes"], ["--timeout", "700ms", "--stop-grace", "100ms"], path))
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=cloister.environment(), cwd="/")
    try:
        assert process.wait(15) == 124
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT])
def test_signals_are_forwarded(cloister, rootfs, number, nothing_left):
    with cloister.start(rootfs, "probe", "trap", "5") as running:
        running.expect(b"ready\n")
        running.signal(number)
        outcome = running.wait(20)
    assert outcome.out == b"ready\ngot %d\n" % number, str(outcome)
    assert outcome.exit == 5
    outcome.ended("exited")
    nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_plain_program_ends_by_the_forwarded_signal(cloister, rootfs, number):
    with cloister.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready\n")
        running.signal(number)
        outcome = running.wait(20)
    assert outcome.exit == 128 + number, str(outcome)


def test_many_signals_do_not_end_it(cloister, rootfs):
    with cloister.start(rootfs, "probe", "trap") as running:
        running.expect(b"ready\n")
        for turn in range(20):
            running.signal(signal.SIGUSR1)
            running.expect(b"got 10\n" * (turn + 1))
        running.signal(signal.SIGTERM)
        running.expect(b"got 15\n")


@pytest.mark.parametrize("opts", [[], ["-i"]])
def test_timeout_holds_while_the_callers_input_is_open_and_silent(cloister, rootfs, opts):
    with cloister.start(rootfs, "sleep", "60", opts=[*opts, "--timeout", "500ms", "--stop-grace", "100ms"]) as running:
        running.send(b"some, and then no more\n")
        assert running.wait(15).exit == 124
