"""A thousand detached sandboxes side by side, where memory allows. Never run by `make test`: see docs/testing.md."""

import re
import time
from pathlib import Path

import pytest

MANY = 1000
ROOM_KIB = MANY * 3 * 1024  # three times what each was found to take

pytestmark = [pytest.mark.serial, pytest.mark.timeout(3600)]


def available_kib():
    return int(re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)[1])


def test_a_thousand_side_by_side(cloister, detach, nothing_left):
    before = available_kib()
    if before < ROOM_KIB:
        pytest.skip(f"needs {ROOM_KIB >> 20} GiB of memory that is free")
    began = time.monotonic()
    boxes = [detach("sleep", "1000", opts=["-m", "32m", "--timeout", "1h"]) for _ in range(MANY)]
    started_s = time.monotonic() - began
    assert len(cloister.call("ps", "-q", timeout=120).ok().lines()) == MANY
    assert len({box.id for box in boxes}) == MANY
    pss = []
    for box in boxes[:: MANY // 10]:
        text = Path(f"/proc/{box.supervisor}/smaps_rollup").read_text()
        pss.append(int(re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)[1]))
    assert max(pss) <= 512, f"PSS of supervisors: {pss} KiB"
    taken_kib = (before - available_kib()) / MANY
    for box in (boxes[0], boxes[MANY // 2], boxes[-1]):
        assert cloister.call("exec", box.id, "echo", "hi").ok().out == b"hi\n"
    began = time.monotonic()
    cloister.call("rm", "-f", *[box.id for box in boxes], timeout=600).ok()
    print(f"\n{MANY} as {cloister.identity}: started in {started_s:.1f} s, {taken_kib:.0f} KiB of memory each, supervisors {min(pss)} to {max(pss)} KiB PSS, "
          f"removed in {time.monotonic() - began:.1f} s")
    assert cloister.call("ps", "-aq").ok().lines() == []
    nothing_left()
