"""One run of a command that takes seconds: its time, its CPU time, and how much memory its processes hold."""

import mmap
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 300
SAMPLE_EVERY_S = 0.01
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Command:
    """argv and env; daemons: pids of servers that do work for it."""

    argv: list
    env: dict
    daemons: list = field(default_factory=list)


@dataclass
class Run:
    wall_s: float
    cpu_s: float
    status: int
    error: str = ""             # the last line that it said
    peak_kib: int = 0           # of all processes together, where it was looked for
    samples: int = 0
    lines: list = field(default_factory=list)  # (seconds since the start, line) of standard output, where it was followed


# ---- trees of processes ----

def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        pass  # it has ended
    return found


def tree(roots):
    """All processes of these and below them."""
    found, left = [], list(roots)
    while left:
        pid = left.pop()
        found.append(pid)
        left += children(pid)
    return found


def parse_cpu(stat):
    """CPU seconds of a process and of those that it has waited for, from its /proc/PID/stat."""
    fields = stat[stat.rindex(")") + 2:].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_S


def cpu_of(roots):
    total = 0.0
    for pid in tree(roots):
        try:
            total += parse_cpu(Path(f"/proc/{pid}/stat").read_text())
        except OSError:
            pass  # ended: its parent has its time
    return total


def parse_pss(rollup):
    """KiB, from /proc/PID/smaps_rollup: 0 of a process without memory."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def pss_of(roots):
    total = 0
    for pid in tree(roots):
        try:
            total += parse_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
        except OSError:
            pass  # ended
    return total


class Sampler(threading.Thread):
    """Adds up the PSS of trees of processes, again and again, until stop()."""

    def __init__(self, roots):
        super().__init__(daemon=True)
        self.roots, self.peak_kib, self.samples = roots, 0, 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_EVERY_S):
            self.peak_kib = max(self.peak_kib, pss_of(self.roots))
            self.samples += 1

    def stop(self):
        self.ended.set()
        self.join()


# ---- runs ----

def last_line(path):
    return (path.read_text(errors="replace").strip().splitlines() or ["no message"])[-1][:300]


def follow(process, began):
    return [(time.monotonic() - began, line.decode(errors="replace")) for line in process.stdout]


def run(command, log, sample=False, lines=False):
    """Runs a Command once; what it says goes to the file LOG, or, where LINES are wanted, they come with their times.

    Sampling takes a good part of a processor: times of such a run say nothing.
    """
    argv = [os.fspath(word) for word in command.argv]
    before = cpu_of(command.daemons)
    with open(log, "wb") as said:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if lines else said, stderr=said, env=command.env, cwd="/")
        killer = threading.Timer(TIMEOUT_S, process.kill)
        killer.start()
        sampler = Sampler([process.pid, *command.daemons])
        if sample:
            sampler.start()
        try:
            heard = follow(process, began) if lines else []
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)  # it is reaped
        if sample:
            sampler.stop()
        if lines:
            process.stdout.close()
    cpu = usage.ru_utime + usage.ru_stime + cpu_of(command.daemons) - before
    return Run(wall, cpu, process.returncode, "" if process.returncode == 0 else last_line(log), sampler.peak_kib, sampler.samples, heard)


def warm_memory(size=2 << 30):
    """Touches and gives back memory: a virtual machine's host may have to find it first, and that is nobody's pull."""
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def settle(place):
    """Writes to the disk what is not there yet, of the whole file system of PLACE: seconds."""
    began = time.monotonic()
    subprocess.run(["sync", "-f", str(place)], check=True)
    return time.monotonic() - began
