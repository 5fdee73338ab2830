"""What runc and crun do otherwise than the tests of an OCI runtime ask: tests/conformance/references.txt.

With CLOISTER_OCI=runc or crun each case of the list has to fail, so that the list can't rot; one whose reason
begins with `sometimes` may.
"""

import re
from pathlib import Path

import pytest

from lib import oci

LIST = Path(__file__).resolve().parents[1] / "conformance/references.txt"


def pytest_collection_modifyitems(items):
    """What runc and crun are known to do otherwise has to fail with them, each case with its reason."""
    path = oci.program()
    known = [row for row in read_rows(LIST.read_text(encoding="utf-8")) if path is not None and row[0] == path.name]
    for item in items:
        for _, pattern, reason in known:
            if pattern.fullmatch(item.nodeid):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=not reason.startswith("sometimes")))
                break


def read_rows(text):
    """The list's lines as (runtime, expression, reason)."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words, mark, reason = (part.strip() for part in line.partition(" # "))
        if not words or words.startswith("#"):
            continue
        name, _, node = words.partition(" ")
        if not mark or not reason or name not in oci.REFERENCES:
            raise pytest.UsageError(f"{LIST}:{number}: not RUNTIME NODEID # reason")
        rows.append((name, re.compile(re.escape(node.strip()).replace(r"\*", ".*")), reason))
    return rows
