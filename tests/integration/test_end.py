"""The end is guaranteed: whoever dies, whenever."""

import os
import random
import signal
import subprocess
import time

import pytest

from lib.runner import Running, alive, descendants, host_pid_of, poll

ROUNDS = 1000 if os.environ.get("CLOISTER_SOAK") else 200
SEED = int(os.environ.get("CLOISTER_SEED", "20240607"))

SHAPES = [
    (["true"], []),
    (["probe", "wait"], []),
    (["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 60 & done; probe forks 5; wait"], []),
    (["probe", "leave"], ["--writable"]),
    (["sh", "-c", "probe inodes /tmp 300; head -c 3000000 /dev/zero >/var/tmp/f; probe wait"], ["--disk", "64m"]),
    (["probe", "spin", "0"], ["--timeout", "40ms", "--stop-grace", "5ms"]),
    (["sh", "-c", "probe wait"], ["-v", "/usr:/data:copy", "--tmpfs", "/scratch", "-w", "/srv/open"]),
    (["yes"], ["--output-limit", "20000"]),
]


def wait_until(moment):
    """A moment drawn at random has no event to wait for: watch the clock."""
    while time.monotonic() < moment:
        pass


def usual_time(cloister, rootfs):
    times = sorted(cloister.run(rootfs, "true", result=False).ok().seconds for _ in range(7))
    return times[3]


def killed_at_random(cloister, rootfs, leaks, rounds, seed):
    random_numbers = random.Random(seed)
    usual = usual_time(cloister, rootfs)
    killed = 0
    for turn in range(rounds):
        command, opts = random_numbers.choice(SHAPES)
        delay = random_numbers.uniform(0, 2.5 * usual) if random_numbers.random() < 0.9 else random_numbers.uniform(0, 0.2)
        words = cloister._run_words(rootfs, command, opts, None)
        began = time.monotonic()
        process = subprocess.Popen([str(a) for a in cloister.argv(*words)], env=cloister.environment(), cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(began + delay)
        process.kill()
        killed += process.wait(20) == -signal.SIGKILL
        try:
            leaks.no_processes_and_mounts()
            if turn % 20 == 19:
                leaks.check(prune=True)
        except AssertionError as error:
            leaks.clear()
            raise AssertionError(f"turn {turn} of seed {seed}, {command} {opts} killed after {delay * 1000:.3f} ms: {error}") from None
    leaks.check(prune=True)
    return killed


@pytest.mark.soak
@pytest.mark.serial
def test_kill_9_at_random_moments(cloister, rootfs, leaks):
    killed = killed_at_random(cloister, rootfs, leaks, ROUNDS // 2, SEED)
    assert killed > ROUNDS // 10, "nearly every run had ended before it was killed: nothing was tested"


@pytest.mark.soak
@pytest.mark.serial
def test_kill_9_at_random_moments_in_the_v1_view(limited, rootfs, leaks):
    killed = killed_at_random(limited, rootfs, leaks, ROUNDS // 10, SEED + 1)
    assert killed > 0


@pytest.mark.soak
@pytest.mark.serial
def test_many_at_once_killed_at_random_moments(cloister, rootfs, leaks):
    random_numbers = random.Random(SEED + 2)
    for _ in range(max(1, ROUNDS // 100)):
        processes = []
        for _ in range(10):
            command, opts = random_numbers.choice(SHAPES)
            processes.append(subprocess.Popen([str(a) for a in cloister.argv(*cloister._run_words(rootfs, command, opts, None))],
                                              env=cloister.environment(), cwd="/", stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        random_numbers.shuffle(processes)
        for process in processes:
            wait_until(time.monotonic() + random_numbers.uniform(0, 0.02))
            process.kill()
        for process in processes:
            process.wait(20)
    leaks.check(prune=True)


@pytest.mark.soak
@pytest.mark.serial
def test_the_next_run_sweeps_too(cloister, rootfs, leaks):
    """Not only prune: any next command finds what a dead supervisor left."""
    for _ in range(3):
        with cloister.start(rootfs, "probe", "wait", result=False) as running:
            running.expect(b"ready")
            running.process.kill()
            running.process.wait(10)
    cloister.run(rootfs, "true").ok()
    poll(lambda: not leaks.sandboxes_left() and not leaks.cgroups_left(), 5, lambda: f"{leaks.sandboxes_left()} {leaks.cgroups_left()}")
    leaks.check()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_supervisor_that_dies_takes_everything_along(cloister, rootfs, number, nothing_left):
    script = "for i in 1 2 3 4 5; do (probe trap >/dev/null &); done; probe leave; exec probe trap"
    with cloister.start(rootfs, "sh", "-c", script) as running:
        running.expect(b"left\n")
        running.expect(b"ready\n")
        below = descendants(running.pid)
        assert len(below) >= 7
        running.signal(number)
        assert running.process.wait(10) == -number
        poll(lambda: not any(map(alive, below)), 2, lambda: f"still alive: {[p for p in below if alive(p)]}")
    nothing_left(prune=True)


def test_a_stopped_sandbox_dies_with_its_supervisor(cloister, rootfs, nothing_left):
    with cloister.start(rootfs, "sh", "-c", "echo ready; kill -STOP $$") as running:
        running.expect(b"ready\n")
        below = descendants(running.pid)
        running.process.kill()
        running.process.wait(10)
        poll(lambda: not any(map(alive, below)), 2, "a stopped process outlived its supervisor")
    nothing_left(prune=True)


def test_the_end_of_init_is_the_end(cloister, rootfs, nothing_left):
    """Killed from the host: the sandbox ends, and cloister says how."""
    with cloister.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready")
        main = host_pid_of(running, "probe")
        os.kill(main, signal.SIGKILL)
        outcome = running.wait(20)
    assert outcome.exit == 137
    outcome.ended("signaled")
    nothing_left()


def parent_and_child(cloister, rootfs, opts):
    """A shell that starts cloister in its background; (Running of the shell, pid of cloister)."""
    words = cloister._run_words(rootfs, ["sh", "-c", "echo ready; exec cat"], ["-i", *opts], None)
    # the standard input of a background job is /dev/null: hand ours over explicitly
    argv = ["sh", "-c", 'exec 3<&0; "$@" <&3 3<&- & echo "pid $!"; wait', "parent", *cloister.argv(*words)]
    running = Running(argv, env=cloister.environment(), cwd="/")
    try:
        out = running.expect(b"ready\n")
    except AssertionError:
        running.stop()
        raise
    return running, int(out.split(b"pid ")[1].split()[0])


def test_die_with_parent(cloister, rootfs, nothing_left):
    parent, pid = parent_and_child(cloister, rootfs, ["--die-with-parent"])
    with parent:
        below = [pid, *descendants(pid)]
        parent.process.kill()
        parent.process.wait(10)
        poll(lambda: not any(map(alive, below)), 5, lambda: f"still alive: {[p for p in below if alive(p)]}")
    nothing_left(prune=True)


def test_without_die_with_parent_it_lives_on(cloister, rootfs, nothing_left):
    parent, pid = parent_and_child(cloister, rootfs, [])
    with parent:
        parent.process.kill()
        parent.process.wait(10)
        parent.send(b"still here\n")
        parent.expect(b"still here\n")
        parent.close_stdin()
        poll(lambda: not alive(pid), 10, "cat did not end with its input")
    nothing_left()


def test_die_with_parent_of_a_parent_that_lives(cloister, rootfs):
    assert cloister.run(rootfs, "echo", "ran", opts=["--die-with-parent"]).ok().out == b"ran\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_it_starts_ends_it(cloister, rootfs, number, nothing_left):
    """Whenever it comes, cloister ends soon and leaves nothing."""
    random_numbers = random.Random(SEED + number)
    usual = usual_time(cloister, rootfs)
    for _ in range(15):
        with cloister.start(rootfs, "probe", "wait", result=False) as running:
            wait_until(time.monotonic() + random_numbers.uniform(0, 1.5 * usual))
            running.signal(number)
            assert running.process.wait(10) in (-number, 128 + number), running.process.returncode
        nothing_left()


def test_the_state_shows_no_sandbox_after_a_normal_end(cloister, rootfs, leaks, nothing_left):
    for command, opts in (SHAPES[0], SHAPES[3], SHAPES[5], SHAPES[7]):
        cloister.run(rootfs, *command, opts=opts)
        assert not leaks.sandboxes_left() and not leaks.cgroups_left()


def test_a_hundred_in_a_row_leave_nothing(cloister, rootfs, nothing_left):
    for _ in range(100):
        cloister.run(rootfs, "true", result=False).ok()
    nothing_left()


def test_twenty_at_once(cloister, rootfs, nothing_left):
    all_of_them = [cloister.start(rootfs, "sh", "-c", f"echo {i}; cat") for i in range(20)]
    try:
        for i, running in enumerate(all_of_them):
            running.expect(b"%d\n" % i)
        assert len(cloister.call("ps", "-q").ok().lines()) == 20
        for running in all_of_them:
            running.close_stdin()
        results = [running.wait(30).ok().result for running in all_of_them]
    finally:
        for running in all_of_them:
            running.stop()
    assert len({r["id"] for r in results}) == 20
    nothing_left()
