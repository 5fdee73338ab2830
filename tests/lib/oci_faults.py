"""Walk through a command of cloister-oci, failing one system call or allocation after the other, or killing it there.

build/bin/cloister-oci-weak has the shims of src/base/fault.h, as lib/faults.py says. A Scene is one command and what
has to be true of it whatever fails; many points share one container where the command leaves that as it was.
"""

import contextlib
import errno
import itertools
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from lib.faults import MARK_SIZE, SANITIZERS, WORDS, syscall_name
from lib.leaks import mounts
from lib.oci import cgroup_processes, cgroup_tops
from lib.patience import patience
from lib.runner import Outcome, alive, text

TIMEOUT = 8           # of commands that take some milliseconds
SETTLES = 3           # seconds until what was killed is gone
UNCLEAR = ("cloister: bug:", "Success", " : ", "(null)")
SAID = re.compile(r"cloister-oci: [^\n]{10,}\n")
NEVER = ("syscall", "umask")  # fails in no kernel
# Of a process that ended without a word: what failed in it was the way to say so, or nobody listened yet.
SILENT, DEAD = ("sendmsg", "recvmsg", "accept4", "poll"), ("the container's first process was killed", "Connection refused")


def wait_until(is_so, seconds):
    """Whether it came to be so."""
    until = time.monotonic() + patience(seconds)
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


class FaultyRuntime:
    """Calls a runtime with the shims, and knows what such a call may leave."""

    def __init__(self, runtime):
        self.runtime = runtime
        place = runtime.directory("faults")
        self.mark = place / "mark"
        self.mark.write_bytes(bytes(MARK_SIZE))
        self.mark.chmod(0o666)
        self.output = [open(place / name, "w+b", buffering=0) for name in ("out", "err")]
        self.tops = cgroup_tops(runtime.view) if runtime.has_cgroup else {}
        for top in self.tops.values():  # an empty one of another test's
            with contextlib.suppress(OSError):
                os.rmdir(top)
        self.mounts = mounts()
        self.expected, self.strangers = set(), set()  # processes of ours that may be there
        self.strangers = self.children()  # another test's registry, say

    def close(self):
        for file in self.output:
            file.close()

    # --- calling ----------------------------------------------------------------------

    def call(self, fault, *words):
        """The outcome; an AssertionError when it hangs. Its output goes to files, which no process can hold open."""
        with self.mark.open("r+b") as mark:
            mark.write(bytes(64))
        for file in self.output:
            file.truncate(0)
            file.seek(0)
        env = self.runtime.environment({**SANITIZERS, **({"CLOISTER_FAULT": fault, "CLOISTER_FAULT_MARK": str(self.mark)} if fault else {})})
        argv, began = self.runtime.argv(*words), time.monotonic()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.output[0], stderr=self.output[1], env=env, cwd="/") as process:
            self.wait_for(process)
        return Outcome(argv, process.returncode, *self.said(), time.monotonic() - began)

    def wait_for(self, process):
        """Who waits for the end of a pid namespace waits for those of its processes that have become ours, too."""
        until, pidfd = time.monotonic() + patience(TIMEOUT), os.pidfd_open(process.pid)
        try:
            while not select.select([pidfd], [], [], 0.05)[0]:
                self.children(process.pid)
                if time.monotonic() > until:
                    process.kill()
                    raise AssertionError(f"it hangs: {self.said()}")
        finally:
            os.close(pidfd)

    def said(self):
        return [os.pread(file.fileno(), 1 << 16, 0) for file in self.output]

    def ok(self, *words):
        return self.call(None, *words).ok()

    def struck(self):
        """What failed: (kind, the system call's name), or None."""
        words = self.mark.read_bytes()[:64].split(b"\n")[0].decode().strip("\0").split()
        return (words[0], syscall_name(int(words[1]))) if words else None

    # --- what is left --------------------------------------------------------------------

    def children(self, *others):
        """The living children of this process, which adopts what others leave; the dead ones are waited for."""
        found = {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()} - self.expected - self.strangers - {*others}
        for pid in list(found):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                found.discard(pid)
        return found

    def remains(self):
        """What there is of containers, as text; nothing when all is as it was."""
        found = [f"state {os.path.relpath(os.path.join(where, name), self.runtime.root)}" for where, names, files in os.walk(self.runtime.root)
                 for name in [*names, *files]]
        found += [f"cgroup {top}" for top in self.tops.values() if os.path.lexists(top)]
        found += [f"mount {line}" for line in set(mounts()) ^ set(self.mounts)]
        return found + [f"process {pid} {describe(pid)}" for pid in self.children()]

    def settled(self):
        """What stays when everything that dies by itself has died."""
        wait_until(lambda: not self.remains(), SETTLES)
        return self.remains()

    def clear(self):
        """By force, so that the next point begins anew."""
        for pid in self.children() | {pid for top in self.tops.values() for pid in cgroup_processes(top)}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for top in self.tops.values():
            for where, _, _ in os.walk(top):
                freezer = Path(where, "freezer.state")
                if freezer.exists():
                    freezer.write_text("THAWED")
        wait_until(lambda: not self.children() and not any(cgroup_processes(top) for top in self.tops.values()), SETTLES)
        for top in self.tops.values():
            for where, _, _ in os.walk(top, topdown=False):
                os.rmdir(where)
        for entry in os.listdir(self.runtime.root):
            shutil.rmtree(self.runtime.root / entry)


def describe(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"


class Scene:
    """A command to walk through. Subclasses say what it is, and what has to be true after it."""

    words = ()
    status = 0           # of the command when nothing fails
    output = b""         # what it prints then, if that is known

    def __init__(self, faulty, bundle, number):
        self.faulty, self.bundle = faulty, bundle.write()
        self.id = f"f{number}-{os.getpid()}"
        self.pid_file = bundle.directory / "pid"

    def prepare(self):
        """Before each point."""

    def judge_success(self, outcome):
        """What is wrong with an outcome that isn't said to be a failure."""
        if outcome.exit != self.status or outcome.err != b"" or (self.output is not None and outcome.out != self.output):
            return ["the exit status or the output is wrong"]
        return []

    def judge_failure(self, outcome, code):
        line, wrong = text(outcome.err), []
        if outcome.exit != 1:
            wrong.append(f"exit status {outcome.exit}")
        if not SAID.fullmatch(line):
            wrong.append("not one line on stderr")
        said = (os.strerror(code), *WORDS.get(code, ()), *self.other_words())
        if not any(words.lower() in line.lower() for words in said):
            wrong.append(f"the message does not say {os.strerror(code)!r}")
        if any(words in line for words in UNCLEAR):
            wrong.append("the message is not clear")
        if not (self.output or b"").startswith(outcome.out):
            wrong.append("strange output")
        return wrong

    def other_words(self):
        return DEAD if self.struck[1] in SILENT else ()

    def after(self, outcome):
        """What is wrong once it is over; the container is left as the next point needs it."""
        return self.faulty.settled()

    def after_death(self):
        """The runtime was killed: `delete --force` clears everything away."""
        done = self.faulty.call(None, "delete", "--force", self.id)
        wrong = [] if done.exit == 0 and done.err == b"" else [f"delete --force: exit {done.exit} {text(done.err)!r}"]
        return wrong + self.faulty.settled()

    # --- walking --------------------------------------------------------------------------

    def one(self, fault, code):
        """The complaints about one point, each with the environment that shows it again."""
        self.prepare()
        struck, shown = ("unknown", ""), ""
        try:
            outcome = self.faulty.call(fault, *self.words)
            struck = self.faulty.struck()
            self.struck = struck or ("nothing", "")
            shown = f" exit {outcome.exit} stdout {text(outcome.out[:200])!r} stderr {text(outcome.err[:600])!r}"
            if code is None:
                wrong = self.after_death()
            elif outcome.exit == self.status:
                wrong = ([] if struck == NEVER else self.judge_success(outcome)) + self.after(outcome)
            else:
                wrong = self.judge_failure(outcome, code) + self.after(outcome)
        except AssertionError as late:
            wrong = [str(late)]
        if wrong:
            self.faulty.clear()
            self.forget()
        return struck, [f"CLOISTER_FAULT={fault} {struck}: {'; '.join(wrong)[:700]}\n   {shown}"] if wrong else []

    def forget(self):
        """No container is there any more."""

    def walk(self, what, codes=(errno.EIO,), first=1, stride=1, last=None):
        """Fail every stride'th point; the complaints, and how many points there were."""
        wrong, beyond, count = [], 0, 0
        for number in itertools.count(first, stride):
            if beyond == 2 or (last is not None and number > last):
                break
            code = codes[number // stride % len(codes)]
            fault, meant = f"{what}:{number}", errno.ENOMEM
            if what.endswith("syscall"):
                fault, meant = f"{fault}:{code}", code
            elif what.endswith("dies"):
                meant = None
            struck, complaints = self.one(fault, meant)
            wrong += complaints
            beyond = 0 if struck else beyond + 1
            count += struck is not None
        self.end()
        return wrong, count

    def end(self):
        """When the walk is over: nothing may be left."""
        self.faulty.call(None, "delete", "--force", self.id)
        left = self.faulty.settled()
        assert not left, left

    def command(self):
        return shlex.join(self.faulty.runtime.argv(*self.words))


class Create(Scene):
    """A container that is made, and removed again."""

    def __init__(self, *of):
        super().__init__(*of)
        self.words = ("create", "--bundle", self.bundle.directory, "--pid-file", self.pid_file, self.id)

    def prepare(self):
        for name in (self.pid_file, self.pid_file.with_name("pid.new")):
            name.unlink(missing_ok=True)

    def judge_success(self, outcome):
        state = self.faulty.ok("state", self.id)
        # it may die at any time once nobody waits for it any more
        allowed = ("created", "stopped") if self.struck[1] in ("", *SILENT) else ("created",)
        wrong = [] if json.loads(state.out)["status"] in allowed else [f"state says {state.out!r}"]
        return super().judge_success(outcome) + wrong

    def after(self, outcome):
        wrong = []
        if outcome.exit == 0:
            done = self.faulty.call(None, "delete", self.id)
            wrong = [] if done.exit == 0 else [f"it can't be deleted: {text(done.err)!r}"]
        else:
            wrong = [f"{path} is left" for path in self.bundle.directory.glob("pid*")]
        return wrong + super().after(outcome)


class Run(Scene):
    """In the foreground: what the command finds is the same, or it is told what is wrong."""

    status = 7

    def __init__(self, *of):
        super().__init__(*of)
        self.words = ("run", "--bundle", self.bundle.directory, self.id)
        whole = self.faulty.call(None, *self.words)
        assert whole.exit == 7 and whole.err == b"" and b"Seccomp" in whole.out, f"{whole}"
        self.output = whole.out

    def after(self, outcome):
        """What failed at the end may have left something, which is said then, and goes by force."""
        if outcome.exit == 1 and outcome.out == self.output and self.faulty.remains():
            done = self.faulty.call(None, "delete", "--force", self.id)
            return ([] if done.exit == 0 else [f"delete --force fails: {text(done.err)!r}"]) + super().after(outcome)
        return super().after(outcome)


class OfOne(Scene):
    """A command to a container that is made when there is none."""

    is_there = False

    def prepare(self):
        if self.is_there:
            return
        self.faulty.ok(*self.making, "--bundle", self.bundle.directory, "--pid-file", self.pid_file, self.id)
        self.pid = int(self.pid_file.read_text())
        self.faulty.expected, self.is_there = {self.pid}, True
        self.made()

    def made(self):
        """What comes next for a new one."""

    def after_death(self):
        self.forget()
        return super().after_death()

    def forget(self):
        self.faulty.expected, self.is_there = set(), False

    def end(self):
        self.forget()
        super().end()


class Delete(OfOne):
    """What can't be removed is said, and another try removes it."""

    making = ("create",)

    def __init__(self, faulty, bundle, number, *, begun=False, options=()):
        super().__init__(faulty, bundle, number)
        self.words, self.begun = ("delete", *options, self.id), begun

    def made(self):
        if self.begun:
            self.faulty.ok("start", self.id)

    def after(self, outcome):
        """As it was after a failure; else gone."""
        if outcome.exit == 0 or not alive(self.pid):
            self.forget()
            if outcome.exit != 0:
                done = self.faulty.call(None, "delete", "--force", self.id)
                return ([] if done.exit == 0 else [f"another try: {text(done.err)!r}"]) + self.faulty.settled()
            return self.faulty.settled()
        return []


class Start(Delete):
    """It has begun, or waits as before, or is dead."""

    def __init__(self, faulty, bundle, number):
        super().__init__(faulty, bundle, number)
        self.words = ("start", self.id)

    def after(self, outcome):
        status = json.loads(self.faulty.ok("state", self.id).out)["status"]
        if status == "created" and outcome.exit == 1:
            return []
        wrong = [] if status == ("running" if outcome.exit == 0 else "stopped") else [f"it is {status} now"]
        done = self.faulty.call(None, "delete", "--force", self.id)
        self.forget()
        return wrong + ([] if done.exit == 0 else [f"delete --force: {text(done.err)!r}"]) + self.faulty.settled()


class Living(OfOne):
    """A command to a container that runs on: one for all points."""

    making = ("run", "--detach")

    def __init__(self, faulty, bundle, number, *words):
        super().__init__(faulty, bundle, number)
        self.words = tuple(word.format(id=self.id) for word in words)

    def made(self):
        self.base = self.remains()

    def remains(self):
        """The container itself, and what is there besides."""
        tasks = {pid for top in self.faulty.tops.values() for pid in cgroup_processes(top / self.bundle.linux["cgroupsPath"].rpartition("/")[2])}
        return [*self.faulty.remains(), *(f"process {pid} {describe(pid)}" for pid in sorted(tasks - {self.pid}))]

    def after(self, outcome):
        is_same = wait_until(lambda: self.remains() == self.base, SETTLES)
        wrong = [] if is_same else [f"{line}: left, or gone" for line in set(self.remains()) ^ set(self.base)]
        if not alive(self.pid):
            wrong.append("the container is dead")
        return wrong + self.judge_container(outcome)

    def judge_container(self, outcome):
        """What is wrong with the container now."""
        return []


class State(Living):
    """The same as when nothing fails."""

    def prepare(self):
        super().prepare()
        self.output = self.faulty.ok(*self.words).out


class Ps(State):
    """The same; a name that can't be read is a question mark."""

    def judge_success(self, outcome):
        if outcome.out == self.output.replace(b"sleep", b"?"):
            return []
        return super().judge_success(outcome)


class Stats(Living):
    """A whole document; its numbers are another's each time, and those that can't be read are left out."""

    output = None

    def judge_success(self, outcome):
        json.loads(outcome.out)
        return super().judge_success(outcome)


class Exec(Living):
    """One more process, whose end is the command's."""

    status, output = 7, b"said\n"


class ExecDetached(Living):
    """One more process that lives, and is in the pid file; or none."""

    def __init__(self, faulty, bundle, number):
        super().__init__(faulty, bundle, number)
        self.exec_pid = bundle.directory / "exec-pid"
        self.words = ("exec", "--detach", "--pid-file", self.exec_pid, self.id, "sleep", "1000")

    def after(self, outcome):
        wrong, made = [], list(self.bundle.directory.glob("exec-pid*"))
        if outcome.exit != 0:
            wrong = [f"{path} is left" for path in made]
        elif alive(int(self.exec_pid.read_text())):
            os.kill(int(self.exec_pid.read_text()), signal.SIGKILL)
        else:
            wrong = ["its process is dead"]
        for path in made:
            path.unlink()
        return wrong + super().after(outcome)


class Console(Create):
    """A terminal's master goes to who listens at a socket, once."""

    def __init__(self, *of):
        super().__init__(*of)
        path = self.bundle.directory / "console"
        self.words = ("create", "--console-socket", path, *self.words[1:])
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.listener.setblocking(False)

    def masters(self):
        """How many came since the last time."""
        count = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return count
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 100, 4)
            for fd in fds:
                os.close(fd)
            count += len(fds)

    def after(self, outcome):
        masters = self.masters()
        wrong = [f"{masters} masters"] if outcome.exit == 0 and masters != 1 else []
        return wrong + super().after(outcome)

    def after_death(self):
        wrong = super().after_death()
        self.masters()
        return wrong

    def end(self):
        super().end()
        self.listener.close()


class Pause(Living):
    """Frozen or not, as the exit status has it; and what is frozen can be thawed."""

    def judge_container(self, outcome):
        frozen = json.loads(self.faulty.ok("state", self.id).out)["status"] == "paused"
        wrong = [] if frozen == (outcome.exit == 0) else [f"frozen: {frozen}"]
        if frozen:
            done = self.faulty.call(None, "resume", self.id)
            wrong += [] if done.exit == 0 else [f"resume: {text(done.err)!r}"]
        return wrong


class Resume(Living):

    def prepare(self):
        super().prepare()
        if json.loads(self.faulty.ok("state", self.id).out)["status"] == "running":
            self.faulty.ok("pause", self.id)

    def judge_container(self, outcome):
        status = json.loads(self.faulty.ok("state", self.id).out)["status"]
        return [f"it is {status}"] if outcome.exit == 0 and status != "running" else []


class Update(Living):
    """What is said to be changed is."""

    def prepare(self):
        super().prepare()
        self.limit = 40 if getattr(self, "limit", 50) == 50 else 50
        self.words = ("update", "--memory", f"{self.limit}m", "--pids-limit", self.limit, self.id)

    def judge_container(self, outcome):
        if outcome.exit != 0:
            return []
        found = {name: self.read(name) for name in ("pids.max", "memory.limit_in_bytes", "memory.max")}
        wanted = {"pids.max": self.limit, "memory.limit_in_bytes": self.limit << 20, "memory.max": self.limit << 20}
        return [f"{name} is {value}" for name, value in found.items() if value is not None and value != wanted[name]]

    def read(self, name):
        controller = name.partition(".")[0]
        top = next(path for names, path in self.faulty.tops.items() if names == "" or controller in names.split(","))
        found = list(top.glob(f"*/{name}"))
        return int(found[0].read_text()) if found else None
