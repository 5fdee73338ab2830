"""The specification's own validation programs: lib/oci_validation.py. Where they are wrong is told in validation/wrong.txt."""

import re
from pathlib import Path

import pytest

from lib import oci_validation
from lib.oci import REFERENCES

WRONG = Path(__file__).with_name("validation") / "wrong.txt"
pytestmark = pytest.mark.timeout(900)  # where they are built first
RUNTIMES = ("all", "cloister-oci", *REFERENCES)


def rows():
    """Of wrong.txt: (runtime, program, expression for the text of a check, reason)."""
    found = []
    for number, line in enumerate(WRONG.read_text().splitlines(), 1):
        words, mark, reason = (part.strip() for part in line.partition(" # "))
        if not words or words.startswith("#"):
            continue
        runtime, program, text = words.split(" ", 2)
        if not mark or not reason or runtime not in RUNTIMES or program not in oci_validation.programs():
            raise pytest.UsageError(f"{WRONG}:{number}: not RUNTIME PROGRAM TEXT # reason")
        found.append((runtime, program, re.compile(re.escape(text).replace(r"\*", ".*")), reason))
    return found


@pytest.fixture(scope="session")
def built():
    try:
        return oci_validation.build()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("program", oci_validation.programs())
def test_a_program_of_the_specification_passes(make_runtime, built, program):
    """All that it checks, but for what is known to be wrong in it, which has to fail."""
    runtime = make_runtime()
    said = oci_validation.Validation(runtime, built).run(program)
    known = [row for row in rows() if row[0] in ("all", runtime.name) and row[1] == program]
    unknown = [text for text in said.failed if not any(row[2].fullmatch(text) for row in known)]
    assert not unknown, f"{unknown}\n{said.text}"
    old = [row[2].pattern for row in known if not row[3].startswith("sometimes") and not any(row[2].fullmatch(text) for text in said.failed)]
    assert not old, f"in {WRONG.name}, and passes: {old}"
