"""What a caller raised for itself stays the caller's: its sandboxes are processes like any other."""

import os
import subprocess

import pytest

FIFO, RESET_ON_FORK = 1, 0x40000000
PROGRAM = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), libc.syscall({ioprio_get}, 1, 0) >> 13,
      open("/proc/self/oom_score_adj").read().strip())
for change in (lambda: os.setpriority(os.PRIO_PROCESS, 0, -1),
               lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
               lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1")):
    try:
        change()
        print("changed")
    except PermissionError:
        print("refused")
""".format(ioprio_get=252 if os.uname().machine == "x86_64" else 31)
REFUSED = ["refused"] * 3


def seen_inside(cloister, *raising):
    """(policy, nice value, I/O class, OOM score) of a command whose caller was started by `raising`."""
    without = [word for layer in cloister.without for word in ("--without", layer)]
    argv = [*raising, *map(str, cloister.argv("run", *without, "host", "python3", "-c", PROGRAM))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    first, *changes = done.stdout.splitlines()
    assert changes == REFUSED, done.stdout
    return [int(word) for word in first.split()]


@pytest.fixture(scope="module", autouse=True)
def real_time_for_the_tests(world):
    """With CONFIG_RT_GROUP_SCHED a cgroup of v1 gives its tasks real time only when it is told to."""
    share = next((path / "cpu.rt_runtime_us" for path in world.cgroups.values() if (path / "cpu.rt_runtime_us").exists()), None)
    if share is not None:
        share.write_text("10000")
    yield
    if share is not None:
        share.write_text("0")


@pytest.mark.parametrize("raising", [
    ("nice", "-n", "-5"), ("chrt", "--fifo", "1"), ("chrt", "--rr", "1"), ("chrt", "--reset-on-fork", "--fifo", "1"),
    ("ionice", "-c", "1"), ("choom", "-n", "-500", "--"),
], ids=" ".join)
def test_nothing_raised_comes_in(cloister, raising):
    tried = subprocess.run([*raising, "true"], capture_output=True, text=True, timeout=20)
    if tried.returncode != 0:
        assert "not permitted" in tried.stderr.lower() or "denied" in tried.stderr.lower(), tried.stderr
        pytest.skip("root lacks CAP_SYS_RESOURCE here")
    policy, nice, io_class, score = seen_inside(cloister, *raising)
    assert policy & ~RESET_ON_FORK == os.SCHED_OTHER
    assert (nice, io_class, score) == (0, 0, 0)


def test_what_was_lowered_stays(cloister):
    """A caller who yields to others means it."""
    policy, nice, io_class, score = seen_inside(cloister, "nice", "-n", "5", "chrt", "--batch", "0", "ionice", "-c", "3",
                                                "choom", "-n", "300", "--")
    assert (policy, nice, io_class, score) == (os.SCHED_BATCH, 5, 3, 300)
