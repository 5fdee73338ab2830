"""What a sandbox may not leave behind, seen from the host."""

import contextlib
import fcntl
import os
import shutil
import struct
import time
from pathlib import Path

from lib.patience import patience
from lib.runner import alive, poll, stat_fields
from lib.world import KEEPER, mountinfo


F_OFD_GETLK = 36
SEATS_AT, SEATS = 64, 4032  # src/sandbox/table.h
HELPERS = range(0x7fff0000, 0x80000000)  # src/helpers/common/jail_user.c: the uids of root's helpers
IDS = range(0x70000000, 0x7ffe0000)  # src/sandbox/ids.h: the uids of root's sandboxes


def taken_seats(state):
    """The seats of the state directory's table that are not marked free."""
    try:
        marks = (state / "table").read_bytes()[SEATS_AT:SEATS_AT + SEATS]
    except OSError:
        return []
    return [seat for seat, mark in enumerate(marks) if mark]


def mounts():
    """The mounts of this mount namespace, without what changes by itself: what keeps the bare one (test_bare.py)."""
    rows = (line.split(" ", 3)[3] for line in mountinfo().splitlines())
    return sorted(row for row in rows if not row.split(" ")[1].startswith(str(KEEPER)))


def loop_devices():
    """{(loop device, its backing file)} of the whole machine."""
    found = set()
    for entry in os.listdir("/sys/block"):
        if entry.startswith("loop"):
            try:
                found.add((entry, Path("/sys/block", entry, "loop/backing_file").read_text().strip()))
            except OSError:
                pass  # not bound
    return found


def open_files():
    """What this process holds open that a sandbox could have been given."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
        if target.startswith(("/dev/pts", "/dev/ptmx", "pipe:", "anon_inode:[pidfd]")):
            found.append((int(entry), target))
    return sorted(found)


def files_of_sandboxes():
    """What lies in /tmp and is a sandbox's uid's: a process of ours took itself for an ordinary user there."""
    found = set()
    for path in Path("/tmp").iterdir():
        try:
            if path.lstat().st_uid in IDS:
                found.add(str(path))
        except FileNotFoundError:
            pass  # somebody else's, and gone
    return found


class Leaks:
    """Remembers how the host was and compares."""

    def __init__(self, world, cloisters):
        self.world, self.cloisters = world, cloisters
        self.mounts, self.loops, self.files = mounts(), loop_devices(), open_files()
        self.strange_files = files_of_sandboxes()
        self.pids = world.processes()

    @contextlib.contextmanager
    def settled(self):
        """What is started in here is no sandbox's and stays: a server for the whole session."""
        yield
        self.pids |= self.world.processes()
        self.files = open_files()

    def strange_processes(self):
        return {pid for pid in self.world.processes() - self.pids if alive(pid)}

    def describe(self, pids):
        words = []
        for pid in pids:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = " < ".join(row.split()[-1] for row in Path(f"/proc/{pid}/stack").read_text().splitlines()[:5])
                words.append(f"{pid} [{Path(f'/proc/{pid}/comm').read_text().strip()}] {line}"
                             f"({stat_fields(pid)[0]}, child of {stat_fields(pid)[1]}, in {where})")
            except OSError:
                pass
        return "; ".join(words)

    def no_processes_and_mounts(self, timeout=2):
        """What the kernel promises alone: nothing runs, nothing is mounted."""
        poll(lambda: not self.strange_processes(), timeout,
             lambda: f"processes left after {timeout} s: {self.describe(self.strange_processes())}")
        poll(lambda: mounts() == self.mounts, timeout,
             lambda: f"mounts left: {sorted(set(mounts()) ^ set(self.mounts))}")

    def cgroups_left(self):
        return [str(p) for name in self.world.cgroups for p in self.world.cgroup_children(name)]

    def sandboxes_left(self):
        """Seats that are taken, and files of single sandboxes; the table and the bells stay for the next."""
        left = []
        for cloister in self.cloisters:
            left += [f"{cloister.state()}/table: seat {seat}" for seat in taken_seats(cloister.state())]
            left += [str(p) for p in cloister.state().glob("plans/*")]
            left += [str(p) for p in cloister.state().glob("bells/*-*")]
        return left

    def ranges_left(self):
        """Uid ranges that somebody still holds: those are locks on the files of ids."""
        left = []
        for path in self.cloisters[0].state().glob("ids.*"):
            with open(path, "r+b") as ids:
                lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, start, _, _ = struct.unpack("hhqqi4x", fcntl.fcntl(ids, F_OFD_GETLK, lock))
            left += [] if kind == fcntl.F_UNLCK else [f"{path}: range {start}"]
        return left

    def strange_files_left(self):
        return sorted(files_of_sandboxes() - self.strange_files)

    def no_loops(self, timeout=10):
        """The machine's loop devices are everybody's: only one that stays is ours."""
        left = loop_devices() - self.loops
        deadline = time.monotonic() + patience(timeout)
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left &= loop_devices()
        assert not left, f"loop devices left: {left}"

    def check(self, prune=False, files=False):
        """Nothing is left; with prune, after the command that sweeps behind the killed.

        What was found is cleared away, so that one test's leftovers fail that test alone.
        """
        try:
            self._check(prune, files)
        except AssertionError:
            self.clear()
            raise

    def _check(self, prune, files):
        self.no_processes_and_mounts()
        if prune:
            for cloister in self.cloisters:
                cloister.call("prune").ok()
        assert not self.sandboxes_left(), f"state left: {self.sandboxes_left()}"
        assert not self.ranges_left(), f"uid ranges left: {self.ranges_left()}"
        assert not self.cgroups_left(), f"cgroups left: {self.cgroups_left()}"
        self.no_loops()
        strange = self.strange_files_left()
        assert not strange, f"files of a sandbox's uid on the host: {strange}"
        new = set(open_files()) - set(self.files)
        assert not (files and new), f"descriptors left in the tests: {new}"

    def clear(self):
        """Kill what is left over, sweep, and take what then remains as given."""
        self.world.kill(self.strange_processes())
        for cloister in self.cloisters:
            try:
                cloister.call("prune", timeout=20)
            except AssertionError:
                pass  # the failure that is being reported comes first
            for name in ("table", "plans", "bells"):
                path = cloister.state() / name
                path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        self.world.remove_cgroups()
        self.mounts, self.loops, self.files = mounts(), loop_devices(), open_files()
        self.strange_files = files_of_sandboxes()
