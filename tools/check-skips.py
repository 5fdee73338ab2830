#!/usr/bin/env python3
"""Fails when a unit test was skipped that nobody expects to be, here and for this user.

usage: check-skips.py TESTLOG.json     (as `meson test` writes it)

tests/unit/expected-skips.txt says which and where; tests/lib/skips.py is the same for pytest.
"""

import ctypes
import json
import os
import re
import resource
import sys
from pathlib import Path

LIST = Path(__file__).resolve().parents[1] / "tests/unit/expected-skips.txt"
RESULT = re.compile(r"^(?:not )?ok \d+ - (\S+)( # SKIP.*)?$", re.MULTILINE)


def no_v1():
    kinds = [line.split(" - ")[1].split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return not any(kind == "cgroup" and "pids" in options.split(",") for kind, _, options in kinds)


def no_cores():
    return 0 <= resource.getrlimit(resource.RLIMIT_CORE)[1] < 1 << 20


def no_scopes():
    """landlock(7): they came with ABI 6, Linux 6.12."""
    create_ruleset, version = 444, 1  # on every architecture
    return ctypes.CDLL(None).syscall(create_ruleset, None, 0, version) < 6


CONDITIONS = {"not-root": os.geteuid() != 0, "no-v1": no_v1(), "no-cores": no_cores(), "no-scopes": no_scopes()}


def read_expected(text):
    """What may be skipped where we are, as expressions; each line needs its condition and reason."""
    expected = []
    for number, line in enumerate(text.splitlines(), 1):
        words, mark, reason = line.partition("#")
        if not words.strip():
            continue
        try:
            name, condition = words.split()
            holds = CONDITIONS[condition]
        except (ValueError, KeyError):
            sys.exit(f"{LIST}:{number}: expected PROGRAM.TEST and one of {', '.join(CONDITIONS)}")
        if not mark or not reason.strip():
            sys.exit(f"{LIST}:{number}: the reason is missing")
        if holds:
            expected.append(re.compile(re.escape(name).replace(r"\*", ".*")))
    return expected


def main():
    expected = read_expected(LIST.read_text())
    seen, strange = 0, []
    for line in Path(sys.argv[1]).read_text().splitlines():
        program = json.loads(line)
        for test, why in RESULT.findall(program.get("stdout", "")):
            name = f"{program['name'].split()[-1]}.{test}"
            seen += 1
            if why and not any(pattern.fullmatch(name) for pattern in expected):
                strange.append(f"{name}: {why[8:].strip()}")
    if not seen:
        sys.exit(f"{sys.argv[1]}: no test in it")
    if strange:
        sys.exit(f"skipped, but not expected to be (tests/unit/{LIST.name}):\n  " + "\n  ".join(strange))


main()
