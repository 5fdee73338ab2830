#!/usr/bin/python3
"""A judge: compiles a C program once, runs it on every test case, and says what became of each.

usage: judge.py [--workers N] [--output DIR] [--timeout TIME] [--cloister PROGRAM] [--without LAYER] SOURCE.c CASES

CASES holds NAME.in and NAME.out. A line of JSON for each case, then one that sums up; exit status 0
when all are AC, 1 when not, 2 when the program doesn't compile, 3 when a case could not be judged.
Made to be copied: docs/judges.md says why each option is there.
"""

import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

COMPILE = ["--timeout", "30s", "--stop-grace", "0", "-m", "512m", "--output-limit", "1m"]
LIMITS = ["--cpu-time", "1s", "--stop-grace", "0", "-m", "64m", "--pids-limit", "8", "--output-limit", "256k"]
VERDICTS = {"cpu_time": "TLE", "timeout": "TLE", "oom": "MLE", "output_limit": "OLE", "signaled": "RE"}


class JudgeError(Exception):
    """No verdict on the program: the judge's own trouble."""


class Judge:
    def __init__(self, chosen, work, output):
        self.run_words = [chosen.cloister, "run", *[word for layer in chosen.without for word in ("--without", layer)]]
        self.built = work / "built"  # the one directory that sandboxed code writes, while it compiles; and the root of what runs then
        self.limits = [*LIMITS, "--timeout", chosen.timeout]
        self.output = output  # what programs write, and the records of how they ended
        self.built.mkdir()
        for point in ("dev", "proc", "tmp"):  # Cloister mounts there: an overlay lends what is missing, which is 7 % of a case
            (self.built / point).mkdir()
        if os.geteuid() == 0:
            os.chown(self.built, 1000, 1000)  # who is root shares no directory of root's to write

    def compile(self, source):
        """Whether it compiles; the compiler's messages go to standard error."""
        inside = f"/source/{source.name}"
        done = subprocess.run([*self.run_words, *COMPILE, "-v", f"{source}:{inside}", "-v", f"{self.built}:/built:rw", "host", "--",
                               "gcc", "-O2", "-static", "-o", "/built/program", inside, "-lm"], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        return done.returncode == 0

    def command(self, case, got, record):
        return [*self.run_words, *self.limits, "--stdin", case, "--stdout", got, "--stderr", "/dev/null", "--result", record,
                f"rootfs:{self.built}", "--", "/program"]

    def run(self, cases, workers):
        """Each case's verdict and what it took, as they end: so many at once, and one thread that waits for all of them."""
        waiting, running = iter(cases), {}
        try:
            for case in itertools.islice(waiting, workers):
                running[self.start(case)] = case
            while running:
                case = running.pop(os.wait()[0])
                for another in itertools.islice(waiting, 1):
                    running[self.start(another)] = another
                yield self.finish(case)
        finally:  # after trouble: each has its time limit
            for _ in running:
                os.wait()

    def start(self, case):
        got, record, said = self.files_of(case)
        streams = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 2, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        return os.posix_spawnp(self.run_words[0], self.command(case, got, record), os.environ, file_actions=streams)

    def finish(self, case):
        got, record, said = files = self.files_of(case)
        try:
            with open(record, "rb") as file:
                result = json.load(file)
        except (OSError, ValueError):
            with open(said, errors="replace") as file:
                raise JudgeError(file.read().strip() or "no result") from None
        verdict = self.judge(result, got, case.with_suffix(".out"))
        usage = result["usage"]
        for path in files:
            os.unlink(path)
        return {"case": case.stem, "verdict": verdict, "exit_code": result["exit_code"], "signal": result["signal"],
                "cpu_ms": None if usage["cpu_user_ns"] is None else (usage["cpu_user_ns"] + usage["cpu_system_ns"]) // 1000000,
                "memory_bytes": usage["memory_peak_bytes"]}

    def files_of(self, case):
        """What the program writes, the record of how it ended, and what Cloister says."""
        return [f"{self.output}/{case.stem}.{kind}" for kind in ("got", "json", "said")]

    def judge(self, result, got, wanted):
        status = result["status"]
        if status in VERDICTS:
            return VERDICTS[status]
        if status != "exited":  # "error", "killed": nothing that the program did
            raise JudgeError(result["error"] or status)
        if result["exit_code"] != 0:
            return "RE"
        return "AC" if words(got) == words(wanted) else "WA"


def words(path):
    """What counts: blanks at the ends of lines and lines at the end don't."""
    with open(path, "rb") as file:
        return [line.rstrip() for line in file.read().rstrip().split(b"\n")]


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2 * os.cpu_count())
    parser.add_argument("--output", default="/dev/shm", metavar="DIR", help="better a tmpfs: three files of each case lie here, for a moment")
    parser.add_argument("--timeout", default="3s", metavar="TIME", help="of a case, by the clock")
    parser.add_argument("--cloister", default="cloister", metavar="PROGRAM")
    parser.add_argument("--without", action="append", default=[], metavar="LAYER")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("cases", type=pathlib.Path)
    chosen = parser.parse_args(argv)
    counts = {}
    with tempfile.TemporaryDirectory(prefix="judge-") as work, tempfile.TemporaryDirectory(prefix="judge-", dir=chosen.output) as output:
        os.chmod(work, 0o755)  # the sandbox's user looks for its root here
        judge = Judge(chosen, pathlib.Path(work), pathlib.Path(output))
        if not judge.compile(chosen.source.resolve()):
            print(json.dumps({"verdict": "CE"}))
            return 2
        for line in judge.run(sorted(chosen.cases.glob("*.in")), chosen.workers):
            print(json.dumps(line))
            counts[line["verdict"]] = counts.get(line["verdict"], 0) + 1
    print(json.dumps({"cases": sum(counts.values()), **counts}))
    return 0 if set(counts) <= {"AC"} else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (JudgeError, OSError) as error:
        print(f"judge: {error}", file=sys.stderr)
        sys.exit(3)
