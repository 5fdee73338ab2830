"""The end is guaranteed: whoever dies, whenever."""

import os
import random
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.leaks import mounts
from lib.runner import Running, alive, descendants, host_pid_of, poll, stat_fields
from lib.world import sandbox_cgroups

ROUNDS = 1000
SEED = int(os.environ.get("CLOISTER_SEED", "20240607"))
LATE_MS = 60  # when all is up

SHAPES = [
    (["true"], []),
    (["probe", "wait"], []),
    (["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 60 & done; probe forks 5; wait"], []),
    (["probe", "leave"], ["--writable"]),
    (["sh", "-c", "probe inodes /tmp 300; head -c 3000000 /dev/zero >/var/tmp/f; probe wait"], ["--disk", "64m"]),
    (["probe", "spin", "0"], ["--timeout", "40ms", "--stop-grace", "5ms"]),
    (["sh", "-c", "probe wait"], ["-v", "/usr:/data:copy", "--tmpfs", "/scratch", "-w", "/srv/open"]),
    (["yes"], ["--output-limit", "20000"]),
    (["sh", "-c", "head -c 3000000 /dev/zero >/var/tmp/f; probe wait"], ["-m", "64m", "--disk", "1g"]),  # on disk for root
]
ENDING = (SHAPES[0], SHAPES[3], SHAPES[5], SHAPES[7])  # by themselves, or by a limit


def wait_until(moment):
    """A moment drawn at random has no event to wait for: watch the clock."""
    while time.monotonic() < moment:
        pass


def children(pid):
    found = []
    for below in descendants(pid):
        try:
            found += [below] if int(stat_fields(below)[1]) == pid else []
        except OSError:
            pass  # gone meanwhile
    return found


def start_one(cloister, rootfs, shape):
    """A run of that shape that has become cloister: what stands before it (setpriv, a shell) is none of it."""
    command, opts = shape
    process = start(cloister, *cloister.run_words(rootfs, command, opts, None))
    while process.poll() is None and Path(f"/proc/{process.pid}/comm").read_text() != "cloister\n":
        pass
    return process


def start(cloister, *words):
    return subprocess.Popen([str(a) for a in cloister.argv(*words)], env=cloister.environment(), cwd="/",
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def usual_time(process):
    """How long what process() starts takes to its end, as a rule."""
    times = []
    for _ in range(7):
        begun = process()
        began = time.monotonic()
        begun.wait(20)
        times.append(time.monotonic() - began)
    return sorted(times)[3]


class Moments:
    """When to kill, by how long runs take on this machine."""

    def __init__(self, cloister, rootfs, random_numbers):
        self.random = random_numbers
        self.lengths = [usual_time(lambda shape=shape: start_one(cloister, rootfs, shape)) for shape in ENDING]
        self.usual = self.lengths[0]

    def draw(self):
        """A shape and a moment in it: at once, within a start, around an end, or anywhere."""
        uniform, kind = self.random.uniform, self.random.randrange(4)
        if kind == 0:
            return self.random.choice(SHAPES), uniform(0, self.usual / 50)
        if kind == 1:
            return self.random.choice(SHAPES), uniform(0, self.usual)
        if kind == 2:
            number = self.random.randrange(len(ENDING))
            return ENDING[number], uniform(self.lengths[number] - self.usual / 2, self.lengths[number] + self.usual / 10)
        return self.random.choice(SHAPES), uniform(0, LATE_MS / 1000)


PHASES = ("before the clone", "while init builds", "running", "teardown")


def phase_of(pid):
    """Where in its run the stopped cloister PID is, one of PHASES; None when it is not cloister yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    if not status.startswith("Name:\tcloister\n"):
        return None
    init = [child for child in children(pid) if alive(child)]
    if init:
        return PHASES[2] if children(init[0]) else PHASES[1]
    # once init has started the command, the supervisor gives its privileges up
    return PHASES[3] if "NoNewPrivs:\t1" in status else PHASES[0]


def kill_and_tell(process):
    """kill -9, while it is stopped for a look; the phase that it was in, or None when it had ended or not begun."""
    if process.poll() is not None:
        return None
    os.kill(process.pid, signal.SIGSTOP)
    seen = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    phase = phase_of(process.pid) if seen.si_code == os.CLD_STOPPED else None
    process.kill()
    process.wait(20)
    return phase


def wait_until_dead(leaks, timeout=2):
    """Every process of a killed sandbox ends by itself: wait for each pidfd, and look for more."""
    deadline = time.monotonic() + timeout
    while pids := leaks.strange_processes():
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            ended = waiting.poll(max(0, deadline - time.monotonic()) * 1000)
            os.close(descriptor)
            assert ended, f"processes left after {timeout} s: {leaks.describe(pids)}"
    assert mounts() == leaks.mounts, f"mounts left: {sorted(set(mounts()) ^ set(leaks.mounts))}"


def next_command(cloister, rootfs, turn):
    """Any that has to sweep."""
    if turn % 3 == 0:
        cloister.run(rootfs, "true", result=False, timeout=20).ok()
    else:
        cloister.call("ps" if turn % 3 == 1 else "prune", timeout=20).ok()


def killed_at_random(cloister, rootfs, leaks, rounds, seed):
    """Kill ROUNDS sandboxes, each looked after by itself, and as many more as it takes to hit each phase
    some times; {phase: how often}. Every fourth is killed without a stop before."""
    random_numbers = random.Random(seed)
    moments = Moments(cloister, rootfs, random_numbers)
    hits = dict.fromkeys(PHASES, 0)
    wanted = max(1, rounds // 20)
    turn = 0
    while turn < rounds or (turn < 4 * rounds and min(hits.values()) < wanted):
        shape, delay = moments.draw()
        process = start_one(cloister, rootfs, shape)
        wait_until(time.monotonic() + delay)
        if turn % 4:
            phase = kill_and_tell(process)
            hits.update({phase: hits[phase] + 1} if phase else {})
        else:
            process.kill()
            process.wait(20)
        try:
            wait_until_dead(leaks)
            next_command(cloister, rootfs, turn)
            leaks.check()
        except AssertionError as error:
            leaks.clear()
            raise AssertionError(f"turn {turn} of seed {seed}, {shape} killed after {delay * 1000:.3f} ms: {error}") from None
        turn += 1
    assert min(hits.values()) >= wanted, f"some phase was hardly hit in {turn} turns: {hits}"
    return hits


@pytest.mark.soak
@pytest.mark.serial
def test_kill_9_at_random_moments(cloister, rootfs, leaks):
    assert sum(killed_at_random(cloister, rootfs, leaks, ROUNDS, SEED).values()) > ROUNDS // 3


@pytest.mark.soak
@pytest.mark.serial
def test_kill_9_at_random_moments_in_the_v1_view(limited, rootfs, leaks):
    assert sum(killed_at_random(limited, rootfs, leaks, ROUNDS // 5, SEED + 1).values()) > ROUNDS // 20


@pytest.mark.soak
@pytest.mark.serial
def test_kill_9_of_a_command_that_sweeps(cloister, rootfs, leaks):
    """Whoever sweeps may be killed too: half swept is swept by the next."""
    usual = usual_time(lambda: start(cloister, "prune"))
    rounds, killed = (60 if os.environ.get("CLOISTER_SOAK") else 15), 0
    for moment in range(rounds):
        with cloister.start(rootfs, "probe", "wait", result=False) as running:
            running.expect(b"ready")
            running.process.kill()
            running.process.wait(10)
        wait_until_dead(leaks)
        process = start(cloister, "prune")
        wait_until(time.monotonic() + usual * moment / rounds)
        process.kill()
        came_in_time = process.wait(10) == -signal.SIGKILL
        usual *= 1.1 if came_in_time else 0.8  # as fast as this machine is now
        killed += came_in_time
        cloister.run(rootfs, "true", result=False).ok()
        leaks.check()
    assert killed >= rounds // 5, f"only {killed} of {rounds} were killed before they ended"


@pytest.mark.soak
@pytest.mark.serial
def test_many_at_once_killed_at_random_moments(cloister, rootfs, leaks):
    random_numbers = random.Random(SEED + 2)
    usual = usual_time(lambda: start_one(cloister, rootfs, SHAPES[0]))
    for _ in range(max(1, ROUNDS // 50)):
        processes = [start_one(cloister, rootfs, random_numbers.choice(SHAPES)) for _ in range(10)]
        random_numbers.shuffle(processes)
        for process in processes:
            wait_until(time.monotonic() + random_numbers.uniform(0, 2 * usual))
            process.kill()
        killed = sum(process.wait(20) == -signal.SIGKILL for process in processes)
        assert killed >= 3, f"only {killed} of 10 were killed before they ended"
        wait_until_dead(leaks)
        cloister.run(rootfs, "true", result=False).ok()
        leaks.check()


@pytest.mark.soak
@pytest.mark.serial
def test_the_next_run_sweeps_too(cloister, rootfs, leaks):
    """Not only prune, and not only long after the last sweep."""
    for _ in range(5):
        with cloister.start(rootfs, "probe", "wait", result=False) as running:
            running.expect(b"ready")
            running.process.kill()
            running.process.wait(10)
        wait_until_dead(leaks)
        assert leaks.sandboxes_left()
        cloister.run(rootfs, "true").ok()
        leaks.check()


def test_a_long_run_sweeps_at_its_start(cloister, rootfs, leaks):
    with cloister.start(rootfs, "probe", "wait", result=False) as dead:
        dead.expect(b"ready")
        dead.process.kill()
        dead.process.wait(10)
    wait_until_dead(leaks)
    with cloister.start(rootfs, "probe", "wait", result=False) as running:
        running.expect(b"ready")
        assert len(leaks.sandboxes_left()) == 1 and len(cloister.call("ps", "-q").ok().lines()) == 1
        assert len({path.rpartition("/")[2] for path in leaks.cgroups_left()}) <= 1
        cloister.call("kill", *cloister.call("ps", "-q").ok().lines()).ok()
        running.wait(20)
    leaks.check()


def test_what_lost_its_record_goes_with_prune(as_root, rootfs, leaks):
    """A state directory that somebody removed under a sandbox that was then killed."""
    with as_root.start(rootfs, "probe", "wait", result=False) as running:
        running.expect(b"ready")
        left = sandbox_cgroups(host_pid_of(running, "probe"))
        assert left
        (as_root.state() / "table").unlink()
        running.process.kill()
        running.process.wait(10)
    wait_until_dead(leaks)
    as_root.call("prune").ok()
    assert all(map(os.path.isdir, left))  # for all that is known they are somebody's who just starts
    for path in left:
        os.utime(path, (time.time() - 100, time.time() - 100))
    as_root.call("prune").ok()
    assert not any(map(os.path.exists, left))
    leaks.check()


def cached_nodes():
    """Nodes of cgroups and of the like that the kernel has in memory."""
    for line in Path("/proc/slabinfo").read_text().splitlines():
        if line.startswith("kernfs_node_cache "):
            return int(line.split()[1])
    pytest.skip("this kernel doesn't count kernfs nodes apart")


@pytest.mark.measures
def test_nothing_stays_in_the_kernels_caches(limited, rootfs):
    """Of a cgroup that is removed while a file of it is open names and inodes would, until memory runs short: four a start."""
    starts = 300
    limited.run(rootfs, "true").ok()
    before = cached_nodes()
    for _ in range(starts):
        limited.run(rootfs, "true", opts=["--cpu-time", "60s", "--cpus", "1"]).ok()
    grown = []
    poll(lambda: grown.append(cached_nodes() - before) or grown[-1] < starts // 2, 10, lambda: f"{grown[-1]} nodes of {starts} starts are still there")


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


def test_the_main_process_killed_from_the_host(cloister, rootfs, nothing_left):
    """It ended by a signal, whoever sent it: the sandbox ends, and cloister says how."""
    with cloister.start(rootfs, "sh", "-c", "probe trap >/dev/null & exec probe wait") as running:
        running.expect(b"ready")
        (init,) = children(running.pid)
        (main,) = [pid for pid in children(init) if b"wait" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(main, signal.SIGKILL)
        outcome = running.wait(20)
    outcome.ended("signaled", 137)
    assert outcome.result["signal"] == signal.SIGKILL and outcome.result["error"] is None, str(outcome)
    nothing_left()


def test_init_killed_from_the_host(cloister, rootfs, nothing_left):
    """All end with it, and how the command would have ended nobody can tell any more."""
    with cloister.start(rootfs, "sh", "-c", "probe trap >/dev/null & probe leave; exec probe trap") as running:
        running.expect(b"left\n")
        running.expect(b"ready\n")
        (init,) = children(running.pid)
        below = descendants(init)
        assert len(below) >= 3
        os.kill(init, signal.SIGKILL)
        outcome = running.wait(20)
        assert not any(map(alive, below)), f"still alive: {[p for p in below if alive(p)]}"
    outcome.ended("error", 125)
    assert b"ended from outside" in outcome.err and outcome.err.count(b"\n") == 1, str(outcome)
    assert "ended from outside" in outcome.result["error"] and outcome.result["exit_code"] is None, str(outcome)
    nothing_left()


def parent_and_child(cloister, rootfs, opts):
    """A shell that starts cloister in its background; (Running of the shell, pid of cloister)."""
    words = cloister.run_words(rootfs, ["sh", "-c", "echo ready; exec cat"], ["-i", *opts], None)
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
    usual = usual_time(lambda: start_one(cloister, rootfs, SHAPES[0]))
    for _ in range(15):
        with cloister.start(rootfs, "probe", "wait", result=False) as running:
            wait_until(time.monotonic() + random_numbers.uniform(0, 1.5 * usual))
            running.signal(number)
            assert running.process.wait(10) in (-number, 128 + number), running.process.returncode
        nothing_left()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_what_the_caller_ignores_is_ignored(cloister, rootfs, number, nothing_left):
    """nohup's hangup, and the terminal's keys for what a script put into the background."""
    ignoring = {"preexec_fn": lambda: signal.signal(number, signal.SIG_IGN)}
    with cloister.start(rootfs, "cat", opts=["-i"], **ignoring) as running:
        for word in (b"before\n", b"after\n"):
            running.send(word)
            running.expect(word)
            running.signal(number)
        running.signal(signal.SIGTERM)
        assert running.process.wait(10) == 128 + signal.SIGTERM
    nothing_left()


@pytest.mark.parametrize("opts", [[], ["--disk", "1g"], ["--seccomp"], ["--profile", "build"]], ids=["plain", "disk", "helper", "build"])
def test_ignored_children_are_waited_for(cloister, rootfs, opts, nothing_left):
    """Of a caller who ignores SIGCHLD the kernel would take them away, and give their numbers to others."""
    if opts == ["--seccomp"]:
        profile = cloister.directory() / "profile.json"
        profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
        profile.chmod(0o644)
        opts = [*opts, profile]
    for _ in range(5):
        cloister.run(rootfs, "true", opts=opts, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)).ok()
    nothing_left()


@pytest.mark.serial  # on a busy machine there is no such child
@pytest.mark.parametrize("delay", range(4, 24), ids="{}00us".format)
def test_a_stop_during_the_start_holds_nobody(cloister, rootfs, delay, nothing_left):
    """Ctrl-Z: cloister stops or goes on; it is not stuck in a clone that waits for a stopped child."""
    with cloister.start(rootfs, "true", process_group=0) as running:  # not orphaned, as a shell's job
        time.sleep(delay / 10000)  # somewhere in the start: any moment is as good
        os.killpg(running.pid, signal.SIGTSTP)
        poll(lambda: Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ", 20,
             lambda: Path(f"/proc/{running.pid}/stat").read_text())
        os.killpg(running.pid, signal.SIGCONT)
        assert running.wait(20).exit == 0
    nothing_left()


def test_a_death_signal_of_the_callers_stays(cloister, rootfs, nothing_left):
    """Asked for before cloister was executed, as service managers and test runners do."""
    bind = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
    words = cloister.run_words(rootfs, ("probe", "wait"), [], None)
    argv = cloister.argv(*words)
    at = argv.index(str(cloister.binary))
    start = f"import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, flush=True); sys.stdin.read()"
    with subprocess.Popen(["python3", "-c", start, *argv[:at], "python3", "-c", bind, *argv[at:]], env=cloister.environment(),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        poll(lambda: any("probe" in Path(f"/proc/{one}/comm").read_text() for one in descendants(pid)), 20, "it never started")
        parent.kill()
        parent.wait()
        poll(lambda: not alive(pid), 20, "cloister outlives its parent")
    cloister.call("prune").ok()
    nothing_left()


def test_the_state_shows_no_sandbox_after_a_normal_end(cloister, rootfs, leaks, nothing_left):
    for command, opts in ENDING:
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
