"""Many commands of all kinds, two at a time, with clients, supervisors and inits that are killed at random.

`make soak` runs it (tools/soak.sh): CLOISTER_SOAK_COMMANDS commands, half as root and half as the ordinary user, chosen
by CLOISTER_SOAK_SEED. Two threads share the sandboxes, so a seed gives the same commands and not the same moments.
"""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib.patience import patience

COMMANDS = int(os.environ.get("CLOISTER_SOAK_COMMANDS", "400"))
SEED = int(os.environ.get("CLOISTER_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
TURNS = 4  # after each of which nothing may be left
MOST = 12  # sandboxes at a time
SEATS_MOST = 2 * MOST  # those of killed ones that nobody has swept yet, too
PAGE = 4096  # a seat's place in the table: src/sandbox/table.h
HANGS_AFTER_S = 60

pytestmark = pytest.mark.timeout(6 * 3600)

# What detached sandboxes run: those that read input, and those that take none.
READERS = ['while read -r line; do echo "got $line"; done; exit 5', "cat", "head -c 100 | wc -c"]
OTHERS = ["sleep 1000", "exec probe trap 3", "while :; do echo y; sleep 0.01; done", "exit 7", "echo out; echo err >&2; sleep 0.05; exit 3",
          "head -c 2000000 /dev/zero", "sleep 1000 & sleep 1000 & wait", "kill -9 $$"]


class Soak:
    def __init__(self, cloister, rootfs, seed):
        self.cloister, self.rootfs, self.seed = cloister, rootfs, seed
        self.lock = threading.Lock()
        self.boxes, self.known = [], []  # that should run; all since the last sweep
        self.done, self.counts, self.failures = 0, {}, []
        self.place = cloister.directory("soak")
        helped = cloister.call("help").ok().out.decode()
        self.has = {word for word in ("cp", "pause", "unpause", "stats") if f"\n  {word} " in helped}

    # -- one command

    def call(self, *words, data=b"", kill_after_s=None):
        """Its exit status and output; None for one that we killed. A hang or a crash is a failure."""
        argv = [os.fspath(word) for word in self.cloister.argv(*words)]
        process = subprocess.Popen(argv, env=self.cloister.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            process.kill()
        try:
            out, err = process.communicate(data, timeout=patience(HANGS_AFTER_S))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"it hangs: {argv}") from None
        if kill_after_s is not None:
            return None, out, err
        assert process.returncode >= 0, f"it crashed by signal {-process.returncode}: {argv}\n{err!r}"
        if process.returncode == 125:
            lines = err.decode(errors="replace").splitlines()
            assert lines and lines[-1].startswith("cloister: ") and len(lines[-1]) > 15, f"no reason: {argv}\n{err!r}"
        return process.returncode, out, err

    def some(self, rng, running=True):
        with self.lock:
            boxes = self.boxes if running else self.known
            return rng.choice(boxes) if boxes else "0123456789abcdef"

    def forget(self, box):
        with self.lock:
            if box in self.boxes:
                self.boxes.remove(box)

    def details(self, box):
        status, out, _ = self.call("inspect", box)
        return json.loads(out)[0] if status == 0 else {}

    # -- what there is to do

    def do_run(self, rng):
        status = rng.choice([0, 3, 77])
        got, out, err = self.call(*self.cloister.run_words(self.rootfs, ("sh", "-c", f"cat; exit {status}"), ("--stop-grace", "0")), data=b"through\n")
        assert (got, out) == (status, b"through\n"), (got, out, err)

    def do_run_killed(self, rng):
        self.call(*self.cloister.run_words(self.rootfs, ("sleep", "1000"), ()), kill_after_s=rng.random() * 0.03)

    def do_detach(self, rng):
        reads = rng.random() < 0.5
        opts = ["-d", "--stop-grace", "0", *(["-i"] if reads else []), *(["-t"] if rng.random() < 0.3 else []), *(["--rm"] if rng.random() < 0.2 else [])]
        words = self.cloister.run_words(self.rootfs, ("sh", "-c", rng.choice(READERS if reads else OTHERS)), opts)
        if rng.random() < 0.1:
            self.call(*words, kill_after_s=rng.random() * 0.03)
            return
        status, out, err = self.call(*words)
        assert status == 0 and len(out) == 17, (status, out, err)
        with self.lock:
            self.boxes.append(out.decode().strip())
            self.known.append(out.decode().strip())
            crowd = self.boxes[0] if len(self.boxes) > MOST else None
        if crowd is not None:
            self.remove(crowd)

    def remove(self, box):
        self.forget(box)
        self.call("rm", "-f", box)

    def do_exec(self, rng):
        box = self.some(rng)
        status, out, err = self.call("exec", box, "echo", "hi")
        assert (status == 0 and out == b"hi\n") or status in (125, 137), (status, out, err)

    def do_exec_killed(self, rng):
        self.call("exec", "-i", self.some(rng), "sleep", "1000", kill_after_s=rng.random() * 0.03)

    def do_kill(self, rng):
        self.call("kill", *rng.choice([(), ("-s", "TERM"), ("-s", "USR1"), ("-s", "INT")]), self.some(rng))

    def do_stop(self, rng):
        self.call("stop", "-t", rng.choice(["0", "50ms", "1s"]), self.some(rng))

    def do_rm(self, rng):
        self.remove(self.some(rng))

    def do_rm_ended(self, rng):
        self.call("rm", self.some(rng, running=False))

    def do_logs(self, rng):
        self.call("logs", *rng.choice([(), ("-t",), ("-n", "3")]), self.some(rng, running=False))

    def do_logs_killed(self, rng):
        self.call("logs", "-f", self.some(rng), kill_after_s=rng.random() * 0.03)

    def do_wait(self, rng):
        box = self.some(rng)
        self.call("unpause", box) if "unpause" in self.has else None
        self.call("kill", box)
        self.call("wait", box)

    def do_ps(self, _rng):
        status, out, err = self.call("ps", "-a", "--format", "json")
        assert status == 0 and isinstance(json.loads(out), list), (status, err)

    def do_inspect(self, rng):
        self.details(self.some(rng, running=False))

    def do_attach(self, rng):
        """Input, and its end, which is that of most who read."""
        box = self.some(rng)
        if self.details(box).get("interactive"):
            self.call("unpause", box) if "unpause" in self.has else None
            self.call("attach", box, data=b"word\n" * rng.choice([1, 10, 1000]))
        else:
            self.call("attach", "--no-stdin", box, kill_after_s=rng.random() * 0.05)

    def do_attach_killed(self, rng):
        self.call("attach", self.some(rng), kill_after_s=rng.random() * 0.03)

    def kill_process(self, rng, which):
        pid = self.details(self.some(rng)).get(which)
        try:
            if pid and which == "pid" or pid and Path(f"/proc/{pid}/comm").read_text() == "cloister\n":
                os.kill(pid, signal.SIGKILL)
        except (OSError, ProcessLookupError):
            pass  # it ended meanwhile

    def do_kill_supervisor(self, rng):
        self.kill_process(rng, "supervisor_pid")

    def do_kill_init(self, rng):
        self.kill_process(rng, "init_pid")

    def do_cp(self, rng):
        path = self.place / f"file-{threading.get_ident()}"
        path.write_bytes(b"x" * rng.choice([0, 10, 300000]))
        box = self.some(rng)
        self.call("cp", path, f"{box}:/tmp/file")
        self.call("cp", f"{box}:/tmp/file", f"{path}.back", kill_after_s=rng.choice([None, rng.random() * 0.03]))

    def do_pause(self, rng):
        self.call(rng.choice(["pause", "unpause", "unpause"]), self.some(rng))

    def do_stats(self, _rng):
        self.call("stats", "--no-stream")

    def operations(self):
        weights = {"run": 10, "run_killed": 4, "detach": 14, "exec": 8, "exec_killed": 3, "kill": 5, "stop": 4, "rm": 3, "rm_ended": 3, "logs": 6,
                   "logs_killed": 3, "wait": 3, "ps": 4, "inspect": 4, "attach": 6, "attach_killed": 4, "kill_supervisor": 3, "kill_init": 3,
                   "cp": 4 if "cp" in self.has else 0, "pause": 4 if "pause" in self.has else 0, "stats": 2 if "stats" in self.has else 0}
        return list(weights), list(weights.values())

    # -- two at a time

    def work(self, number, until):
        rng = random.Random(f"{self.seed}-{number}-{until}")
        names, weights = self.operations()
        while True:
            with self.lock:
                if self.done >= until or self.failures:
                    return
                self.done += 1
            name = rng.choices(names, weights)[0]
            try:
                getattr(self, f"do_{name}")(rng)
            except AssertionError as failure:
                with self.lock:
                    self.failures.append(f"{name}: {failure}")
                return
            except Exception as failure:  # a thread has nobody else to tell
                with self.lock:
                    self.failures.append(f"{name}: {failure!r}")
                return
            with self.lock:
                self.counts[name] = self.counts.get(name, 0) + 1

    def turn(self, until):
        threads = [threading.Thread(target=self.work, args=(number, until)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.failures, f"seed {self.seed}, after {self.done} commands: {self.failures}"

    def sweep(self):
        """Everything that runs is ended, and what killed commands left is aged so that it is swept now."""
        ids = self.cloister.call("ps", "-aq").ok().lines()
        if ids:
            self.cloister.call("rm", "-f", *ids, timeout=300)
        self.boxes, self.known = [], []
        for left in self.cloister.kept().glob("*"):
            os.utime(left, (0, 0), follow_symlinks=False)
        self.cloister.call("prune", timeout=300).ok()
        assert self.cloister.call("ps", "-aq").ok().lines() == [], f"seed {self.seed}: sandboxes are left"
        kept = sorted(self.cloister.kept().glob("*"))
        assert kept == [], f"seed {self.seed}: kept directories are left: {kept}"

    def check_state(self):
        """What stays in the state directory is bounded by how many sandboxes there were at a time, not by how many commands."""
        state = self.cloister.state()
        left = [path for path in state.rglob("*") if not re.fullmatch(r"table|bells|plans|\d+|ids\.\d\d?", path.name)]
        assert left == [], f"seed {self.seed}: left in the state directory: {left}"
        bells = [path for path in (state / "bells").iterdir() if path.name.isdigit()]
        assert len(bells) <= SEATS_MOST, f"seed {self.seed}: {len(bells)} bells of {MOST} sandboxes at a time"
        size = (state / "table").stat().st_size
        assert size <= (1 + SEATS_MOST) * PAGE, f"seed {self.seed}: a table of {size} bytes"


def test_soak(cloister, rootfs, leaks):
    soak = Soak(cloister, rootfs, SEED)
    began, commands = time.monotonic(), COMMANDS // 2
    for turn in range(TURNS):
        soak.turn(commands * (turn + 1) // TURNS)
        soak.sweep()
        leaks.check(prune=True)
        soak.check_state()
    print(f"\nsoak as {cloister.identity}: seed {SEED}, {soak.done} commands in {time.monotonic() - began:.0f} s: {dict(sorted(soak.counts.items()))}")
