"""What a running sandbox costs the host: bounds on the release build; bench/ has the numbers."""

from pathlib import Path


def kib(pid, name, field):
    for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def test_the_supervisor_is_small(cloister, rootfs):
    """At its peak, which is its start, and its share while the command runs: each bound is twice what was measured."""
    with cloister.start(rootfs, "probe", "wait") as running:
        running.expect(b"ready\n")
        peak, share = kib(running.pid, "status", "VmHWM"), kib(running.pid, "smaps_rollup", "Pss")
    assert 0 < peak <= 1024 and 0 < share <= 512, (peak, share)
