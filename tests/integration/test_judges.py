"""docs/examples/judge.py: a program is compiled once and judged on every case, each verdict earned by a program that does what it is for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.patience import patience
from lib.runner import text

JUDGE = Path(__file__).resolve().parents[2] / "docs/examples/judge.py"
# what the program does on an input, and the verdict; where there is no cgroup, other limits end it
LEAVES = 'FILE *f = fopen("/tmp/left", "r"), *g = fopen("/tmp/left", "w"); if (f == NULL && g != NULL && fputs("x", g) >= 0) puts("42");'
DOES = {
    "right": ('puts("42");', "AC"),
    "right-but-for-blanks": ('fputs("42  \\n\\n\\n", stdout);', "AC"),
    "wrong": ('puts("41");', "WA"),
    "nothing": ("", "WA"),
    "more": ('puts("42\\n43");', "WA"),
    "fails": ("return 3;", "RE"),
    "aborts": ("abort();", "RE"),
    "null": ("*(volatile int *)0 = 1;", "RE"),
    "spins": ("for (;;) ;", "TLE"),
    "sleeps": ("sleep(1000);", "TLE"),
    "eats": ("for (;;) { char *p = malloc(1 << 20); if (p == NULL) return 1; memset(p, 1, 1 << 20); }", "MLE"),
    "talks": ('for (;;) puts("42");', "OLE"),
    "forks": ("for (int i = 0; i < 100; i++) { pid_t p = fork(); if (p < 0) return 1; if (p == 0) pause(); }", "RE"),
    "writes": ('FILE *f = fopen("/program", "a"); FILE *g = fopen("/left", "w"); if (f == NULL && g == NULL) puts("42");', "AC"),
    "looks": ('FILE *f = fopen("/source", "r"); FILE *g = fopen("/etc/passwd", "r"); if (f == NULL && g == NULL) puts("42");', "AC"),
    "leaves": (LEAVES, "AC"),
    "leaves-again": (LEAVES, "AC"),
}
# An allocation fails, and the kernel kills a process that used its time up, if the clock's time isn't over before.
WITHOUT_CGROUP = {"eats": {"RE"}, "spins": {"RE", "TLE"}}
PROGRAM = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    char word[64] = "";
    if (scanf("%%63s", word) != 1) return 99;
%s
    return 0;
}
"""


@pytest.fixture
def place(cloister):
    directory = cloister.directory("judge")
    (directory / "cases").mkdir()
    (directory / "cases").chmod(0o755)
    return directory


def judge(cloister, place, source, *options):
    (place / "program.c").write_text(source)
    (place / "program.c").chmod(0o644)
    layers = [word for layer in cloister.without for word in ("--without", layer)]
    ran = subprocess.run([*cloister.prefix(), sys.executable, str(JUDGE), "--cloister", str(cloister.binary), "--timeout", f"{patience(3)}s", *layers, *options,
                          str(place / "program.c"), str(place / "cases")],
                         env=cloister.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(120), cwd="/")
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()], text(ran.stderr)


def add_case(place, name, wanted="42\n"):
    (place / "cases" / f"{name}.in").write_text(f"{name}\n")
    (place / "cases" / f"{name}.out").write_text(wanted)


def test_each_verdict_is_earned(cloister, place, nothing_left):
    for name in DOES:
        add_case(place, name)
    source = PROGRAM % "\n".join(f'    if (strcmp(word, "{name}") == 0) {{ {does} }}' for name, (does, _) in DOES.items())
    status, lines, said = judge(cloister, place, source, "--workers", "2")
    wanted = {name: {verdict} for name, (_, verdict) in DOES.items()}
    if not cloister.has_cgroup:
        wanted.update(WITHOUT_CGROUP)
    assert status == 1, (lines, said)
    got = {line["case"]: line["verdict"] for line in lines[:-1]}
    assert got.keys() == wanted.keys() and [name for name in got if got[name] not in wanted[name]] == [], (lines, said)
    verdicts = list(got.values())
    assert lines[-1] == {"cases": len(DOES), **{verdict: verdicts.count(verdict) for verdict in set(verdicts)}}
    by_name = {line["case"]: line for line in lines[:-1]}
    assert by_name["fails"]["exit_code"] == 3 and by_name["aborts"]["signal"] == 6
    if cloister.has_cgroup:
        assert 500 <= by_name["spins"]["cpu_ms"] < 2500 and by_name["sleeps"]["cpu_ms"] < 500
        assert by_name["eats"]["memory_bytes"] > 60 << 20 > by_name["right"]["memory_bytes"] > 0
    nothing_left()


def test_hundreds_of_cases(cloister, place):
    for number in range(300):
        add_case(place, str(number), f"{number * number}\n")
    status, lines, said = judge(cloister, place, PROGRAM % '    long n = atol(word); printf("%ld\\n", n * n);', "--workers", "2")
    assert status == 0 and lines[-1] == {"cases": 300, "AC": 300}, (lines[-1], said)


def test_what_does_not_compile(cloister, place):
    add_case(place, "one")
    status, lines, said = judge(cloister, place, "int main(void) { return 0 }\n")
    assert status == 2 and lines == [{"verdict": "CE"}] and "error: expected" in said
    status, lines, said = judge(cloister, place, '#include "/dev/zero"\n')  # a compiler that is led astray is the sandbox's
    assert status == 2 and lines == [{"verdict": "CE"}]


def test_trouble_of_the_judge_is_no_verdict(cloister, place, nothing_left):
    for name in ("one", "two", "three", "four"):
        add_case(place, name)
    os.unlink(place / "cases" / "one.out")
    status, lines, said = judge(cloister, place, PROGRAM % "", "--workers", "4")
    assert status == 3 and said.startswith("judge: ") and "one.out" in said, (lines, said)
    assert all(line.get("case") in {"two", "three", "four"} for line in lines)
    nothing_left()  # it waited for the others
