#!/usr/bin/env python3
"""Run the unit tests of build/arm64 and hold what fails or is skipped against a list.

usage: test-arm64.py user|machine [PROGRAM...]      as in: test-arm64.py user test_plan

user: under qemu-user, one after the other; tests/unit/not-under-qemu.txt names what it can't run.
machine: on an emulated machine (tools/arm64-machine.sh); tests/unit/not-on-arm64.txt does.
Everything else has to pass. A line that names no test which fails any more is an error too.
"""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
LISTS = {"user": "not-under-qemu.txt", "machine": "not-on-arm64.txt"}
PROGRAMS = TOP / "build/arm64/tests/unit"
RESULT = re.compile(r"^(not ok|ok) \d+ - (\S+)( # SKIP.*)?$", re.MULTILINE)
SECONDS = 120
HANG = "a hang"


def read_list(path):
    """{a name or pattern: its expression}."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        name, mark, reason = (part.strip() for part in line.partition("#"))
        if name and not (mark and reason):
            sys.exit(f"{path}:{number}: the reason is missing")
        if name:
            found[name] = re.compile(re.escape(name).replace(r"\*", ".*"))
    return found


def under_qemu(programs):
    """(program, what it printed, its status) for each."""
    for program in programs:
        try:
            done = subprocess.run(["qemu-aarch64-static", PROGRAMS / program], cwd=TOP, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
            yield program, done.stdout.decode("utf-8", "replace"), done.returncode
        except subprocess.TimeoutExpired as hang:
            yield program, (hang.stdout or b"").decode("utf-8", "replace"), HANG


def on_a_machine(programs):
    done = subprocess.run([TOP / "tools/arm64-machine.sh", *programs], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    (TOP / "build/arm64/machine.log").write_text(text)
    for program in programs:
        found = re.search(rf"^@@ start {program}\n(.*?)^@@ end {program} (\d+)$", text, re.DOTALL | re.MULTILINE)
        yield (program, found[1], int(found[2])) if found else (program, "", HANG)


def results_of(output, status):
    """[(test's name, passed)]; the program itself is the test 'program'."""
    results = [(name, what == "ok" and not skip) for what, name, skip in RESULT.findall(output)]
    # 1: a test failed, and is told by name
    return [*results, ("program", status == 0 or status == 1 and not all(passed for _, passed in results))]


def main():
    how, wanted = sys.argv[1], sys.argv[2:]
    listed, used, passed, wrong = read_list(TOP / "tests/unit" / LISTS[how]), set(), 0, []
    programs = wanted or sorted(path.name for path in PROGRAMS.glob("test_*") if path.is_file())
    for program, output, status in {"user": under_qemu, "machine": on_a_machine}[how](programs):
        before = len(wrong)
        for test, good in results_of(output, status):
            name = f"{program}.{test}"
            lines = set() if good else {line for line, pattern in listed.items() if pattern.fullmatch(name)}
            used |= lines
            passed += good and test != "program"
            if not good and not lines:
                wrong.append(name)
        if len(wrong) > before:
            print("\n".join(line for line in output.splitlines() if not re.match("ok (?!.*SKIP)", line)))
    stale = set() if wanted else set(listed) - used
    print(f"{len(programs)} programs, {passed} tests passed, {len(listed)} lines of tests/unit/{LISTS[how]}")
    for title, names in (("failed, or skipped though not expected to be:", wrong), ("in the list, though nothing of that name fails:", sorted(stale))):
        if names:
            print("\n  ".join([title, *names]))
    sys.exit(1 if wrong or stale else 0)


main()
