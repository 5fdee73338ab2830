"""A skip that nobody expects is a failure.

tests/expected-skips.txt names the tests that may be skipped: a node id as pytest
prints it ('*' stands for anything), then '#' and what a host without it lacks.
Everything else that is skipped, a whole module too, counts as failed and says so.
--expected-skips=FILE adds the list of a host that lacks more.
"""

import re
from pathlib import Path

import pytest

LIST = Path(__file__).resolve().parents[1] / "expected-skips.txt"


def read_patterns(text, where=LIST):
    """Node ids as compiled expressions; every line needs its reason."""
    patterns = []
    for number, line in enumerate(text.splitlines(), 1):
        name, mark, reason = (part.strip() for part in line.partition("#"))
        if not name:
            continue  # a comment or an empty line
        if not mark or not reason:
            raise pytest.UsageError(f"{where}:{number}: the reason is missing: NODEID # reason")
        patterns.append(re.compile(re.escape(name).replace(r"\*", ".*")))
    return patterns


class ExpectedSkips:
    def __init__(self, patterns):
        self.patterns = patterns

    def judge(self, report):
        """Turn a skip that isn't expected into a failure."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        if any(pattern.fullmatch(report.nodeid) for pattern in self.patterns):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped, but not expected to be (tests/{LIST.name}): {report.nodeid}: {reason}"

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self):
        outcome = yield
        self.judge(outcome.get_result())

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self):
        outcome = yield
        self.judge(outcome.get_result())


def pytest_addoption(parser):
    parser.addoption("--expected-skips", metavar="FILE", help="skips that this host is known for")


def pytest_configure(config):
    patterns = read_patterns(LIST.read_text(encoding="utf-8")) if LIST.exists() else []
    more = config.getoption("--expected-skips")
    if more:
        patterns += read_patterns(Path(more).read_text(encoding="utf-8"), more)
    config.pluginmanager.register(ExpectedSkips(patterns), "cloister-expected-skips")
