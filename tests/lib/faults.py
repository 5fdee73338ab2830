"""Walk through a run, failing one system call or allocation after the other.

The programs of build/weak and build/asan are compiled with the shims of
src/base/fault.h: CLOISTER_FAULT names the call that has to fail, and
CLOISTER_FAULT_MARK a file in which the program notes that it did.
"""

import errno
import functools
import os
import re
import shlex
import shutil
from dataclasses import dataclass

from lib.orphans import reap_orphans
from lib.runner import read_result, text
from lib.store import Store
from lib.world import command

TIMEOUT = 8         # of runs that take some milliseconds
HANGS = 2           # one walk bears so many, then it has shown what it can show
MARK_SIZE = 4096    # CL_FAULT_MARK_SIZE
SAID = "whole"
# Statuses that are nobody else's, for the builds that look at them.
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=98"}
# What AddressSanitizer says of a process that has its stack elsewhere, or no memory left.
NOISE = re.compile(r"^(==\d+==WARNING: ASan is ignoring requested __asan_handle_no_return.*|False positive error reports .*|"
                   r"For details see .*|ERROR: Failed to mmap)\n", re.MULTILINE)
POLL = ("poll", "ppoll")  # as the architecture has it
UNCLEAR = ("was ended from outside", "cloister: bug:", "Success", " : ")
# musl's words where they aren't glibc's, and our own
WORDS = {errno.EIO: ("I/O error",), errno.ENOMEM: ("out of memory",)}
# {errno: messages that say better than its own text what it means for the user}
EXPLAINED = {errno.EPERM: ("this user may not make a cgroup", "above this process's hard limit")}


@functools.cache
def syscall_numbers():
    """{name: number} of this machine's system calls."""
    source = command("gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null")
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", source, re.MULTILINE)}


def syscall_name(number):
    return next((name for name, value in syscall_numbers().items() if value == number), str(number))


@dataclass(frozen=True)
class Case:
    """What is run while calls fail."""

    name: str
    image: str                # "host", "rootfs" for the tree of the tests, or "store" for that in layers
    opts: tuple = ()
    errors: tuple = (errno.EIO,)   # used in turn
    identities: tuple = ("root", "user")

    def __str__(self):
        return self.name


class Faults:
    """One cloister with the shims and one Case: run() fails a call, judge() says what is wrong with the outcome."""

    def __init__(self, cloister, case, image, source, leaks):
        self.cloister, self.case, self.leaks = cloister, case, leaks
        self.sanitised, self.side = False, None
        self.image = {"host": "host", "rootfs": str(image), "store": "layered"}[case.image]
        self.env = self.make_store(image) if case.image == "store" else {}
        self.policy = self.write("policy.yaml", "env: {A: b}\nlimits: {tasks: 20}\n")
        self.cache = cloister.directory("cache")
        given = {"source": source, "policy": self.policy, "env": self.write("env", "A=b\n"), "file": self.write("file", "given\n"),
                 "profile": self.write("profile.json", '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}\n')}
        self.opts = [opt.format(**given) for opt in case.opts]
        self.result = cloister.result_path()
        self.mark = cloister.directory("mark") / "mark"
        self.mark.write_bytes(bytes(MARK_SIZE))
        self.mark.chmod(0o666)
        self.hangs = 0
        untouched = self.run(None).ok()
        assert self.struck() is None
        assert untouched.lines() == [SAID] and untouched.err == b"", f"{untouched}"
        self.before = self.record()

    def make_store(self, image):
        """A store with the tree in the lower of two layers; the environment that names it."""
        store = Store(self.cloister.directory("store"), self.cloister.uid or 0, self.cloister.gid or 0)

        def lower(tree):
            tree.rmdir()
            command("cp", "-a", image.path, tree)

        layers = [store.layer(lower), store.layer(lambda tree: (tree / "srv").mkdir())]
        store.add("layered", layers, env=["PATH=/bin"], workdir="srv/work", stop_signal=10)
        return {"CLOISTER_STORE": str(store.path)}

    def write(self, name, content):
        """A file that is given to cloister, whoever it runs as."""
        path = self.cloister.directory("given") / name
        path.write_text(content)
        path.chmod(0o644)
        return path

    def run(self, fault):
        with self.mark.open("r+b") as mark:
            mark.write(bytes(64))
        self.result.unlink(missing_ok=True)
        shutil.rmtree(self.cache / "cloister", ignore_errors=True)  # a user's; root's is the host's
        return self.cloister.run(self.image, "echo", SAID, opts=["--result", self.result, *self.opts], result=False,
                                 timeout=TIMEOUT, env={"CLOISTER_FAULT": fault, "CLOISTER_FAULT_MARK": str(self.mark),
                                                       "XDG_CACHE_HOME": str(self.cache), **SANITIZERS, **self.env})

    def struck(self):
        """What failed, as the program noted it: the system call's name, or "alloc"; None when nothing did."""
        with self.mark.open("rb") as mark:
            words = mark.read(64).split(b"\n")[0].decode().strip("\0").split()
        if not words:
            return None
        return syscall_name(int(words[1])) if words[0] == "syscall" else words[0]

    def walk(self, who, what, first, stride):
        """Fail every stride'th call from the first on, to the end of the run; all that went wrong, as text."""
        self.side = who
        wrong, number, beyond, struck = [], first, 0, 0
        while beyond < 2 and self.hangs < HANGS:
            code = self.case.errors[number % len(self.case.errors)]
            fault = f"{who}:alloc:{number}" if what == "alloc" else f"{who}:syscall:{number}:{code}"
            wrong += self.one(fault, errno.ENOMEM if what == "alloc" else code)
            beyond = 0 if self.struck() else beyond + 1
            struck += not beyond
            number += stride
        assert struck, "nothing was failed: have the calls gone elsewhere?"
        return wrong

    def one(self, fault, code):
        """Run with one fault; the complaints, each with the environment that shows it again."""
        try:
            outcome = self.run(fault)
            complaints = self.judge(outcome, code)
            shown = f" exit {outcome.exit} stdout {text(outcome.out[:100])!r} stderr {text(outcome.err[:1500])!r}"
        except AssertionError as hang:
            self.hangs += 1
            complaints, shown = ["it hangs"], f" {' '.join(str(hang).split(chr(10))[1:])}"
        complaints += self.left(code)
        return [f"CLOISTER_FAULT={fault} ({self.struck()}): {complaint}\n   {shown}" for complaint in complaints]

    def command(self):
        """What is run, to be run again by hand."""
        return shlex.join(map(str, self.cloister.argv("run", *self.opts, self.image, "echo", SAID)))

    def left(self, code):
        """What this run left behind, the next command included."""
        found = []
        try:
            self.leaks.no_processes_and_mounts()
        except AssertionError as left:
            found.append(str(left))
            self.leaks.clear()
        dead = reap_orphans()
        if dead and (self.struck() != "wait4" or code == errno.EINTR):  # who can't wait, can't reap
            found.append(f"children that nobody waited for: {dead}")
        if self.leaks.strange_files_left():
            found.append(f"files of a sandbox's uid on the host: {self.leaks.strange_files_left()}")
            self.leaks.clear()
        if self.leaks.sandboxes_left() or self.leaks.cgroups_left():
            pruned = self.cloister.call("prune")
            remains = self.leaks.sandboxes_left() + self.leaks.cgroups_left()
            if remains:
                found.append(f"left after prune: {remains}; it said {text(pruned.out + pruned.err)!r}")
                self.leaks.clear()
        return found

    # --- judging ------------------------------------------------------------------

    def judge(self, outcome, code):
        struck = self.struck()
        if struck is None or outcome.exit == 0:
            return self.judge_success(outcome)
        if self.sanitised and self.side == "children" and struck in ("wait4", *POLL):
            # init is under its filter by then, which ends it for AddressSanitizer's own
            # sigaltstack before a function that doesn't return
            return [] if outcome.exit == 125 else [f"exit status {outcome.exit}"]
        # exec is the one call whose failure is the command's, as far as anybody can tell
        allowed = (125, 126) if struck == "execve" else (125,)
        if outcome.exit not in allowed:
            return [f"exit status {outcome.exit}"]
        return self.judge_message(outcome, code) + self.judge_failed_record(outcome)

    def judge_success(self, outcome):
        wrong = []
        if outcome.exit != 0 or outcome.lines() != [SAID] or outcome.err != b"":
            wrong.append("the command's output or exit status is wrong")
        record, before = self.record(), self.before
        if record is None:
            return [*wrong, "success without a result record"]
        for key in ("status", "exit_code", "layers", "limits", "limits_hit", "error"):
            if record[key] != before[key]:
                wrong.append(f"the record says {key} {record[key]}, and {before[key]} when nothing fails")
        return wrong

    def judge_message(self, outcome, code):
        line = NOISE.sub("", text(outcome.err))
        wrong = []
        if not line.startswith("cloister: ") or line.count("\n") != 1 or not line.endswith("\n"):
            wrong.append("not one line on stderr")
        said = (os.strerror(code), *WORDS.get(code, ()), *EXPLAINED.get(code, ()))
        if not any(words.lower() in line.lower() for words in said):
            wrong.append(f"the message does not say {os.strerror(code)!r}")
        if any(words in line for words in UNCLEAR):
            wrong.append("the message is not clear")
        if outcome.lines() not in ([], [SAID]):
            wrong.append("strange output")
        return wrong

    def judge_failed_record(self, outcome):
        """A record that was written agrees with what stderr says."""
        record = self.record()
        if record is None:
            return []  # it could not be written, or nothing came so far
        if record["status"] != "error" or not record["error"] or record["error"] not in text(outcome.err):
            return [f"the record says {record['status']}, {record['error']!r}"]
        return []

    def record(self):
        try:
            return read_result(self.result)
        except ValueError:
            return None  # cut short
