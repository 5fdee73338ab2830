"""What a machine that is slow, or has not all that the tests want, is given: the rig of tools/vm.sh.

--left-out=FILE        tests that are not run there, in the form of expected-skips.txt
CLOISTER_PATIENCE=N    lib/patience.py
"""

from pathlib import Path

from lib.patience import FACTOR, stretch_subprocess
from lib.skips import read_patterns


def pytest_addoption(parser):
    parser.addoption("--left-out", metavar="FILE", help="node ids of tests that are left out, each with its reason")


def pytest_configure():
    if FACTOR != 1:
        stretch_subprocess()


def pytest_collection_modifyitems(config, items):
    path = config.getoption("--left-out")
    if not path:
        return
    patterns = read_patterns(Path(path).read_text(encoding="utf-8"), path)
    left_out = [item for item in items if any(pattern.fullmatch(item.nodeid) for pattern in patterns)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]
