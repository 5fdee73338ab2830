"""Engines whose containers' cgroups systemd makes: Docker's and Podman's systemd driver, with cgroup v2 alone.

Each container is a scope with the limits as its properties, and a unit that is gone with it. The ordinary user's
engine takes a manager of that user, started before these tests (tools/vm/guest.sh).
"""

import subprocess
from pathlib import Path

import pytest

from lib.oci_engines import SLICE, Docker, Podman, UserPodman
from lib.runner import poll

MIB = 1 << 20
IS_THERE = Path("/run/systemd/system").is_dir()
pytestmark = pytest.mark.skipif(not IS_THERE, reason="no systemd runs here")
LIMITS = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "40"]


class Units:
    """systemctl of whom the containers belong to."""

    def __init__(self, engine):
        user = engine.world.user.pw_name if engine.name == "rootless" else None
        environment = ["XDG_RUNTIME_DIR=" + engine.env["XDG_RUNTIME_DIR"]] if user else []
        self.words = [*(["runuser", "-u", user, "--", "env", *environment] if user else []), "systemctl", *(["--user"] if user else [])]
        self.prefix = "docker" if engine.name == "docker" else "libpod"

    def show(self, identifier):
        shown = subprocess.run([*self.words, "show", f"{self.prefix}-{identifier}.scope"], capture_output=True, text=True, check=True, cwd="/").stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def until_gone(self, identifier):
        poll(lambda: self.show(identifier)["LoadState"] == "not-found", 60, "the scope stays")


@pytest.fixture(scope="module", params=[Docker, Podman, UserPodman], ids=lambda kind: kind.name)
def engine(request, make_engine):
    return make_engine(request.param, manager="systemd")


@pytest.fixture
def units(engine):
    return Units(engine)


@pytest.fixture
def box(engine, units):
    name = engine.started(options=LIMITS)
    identifier = engine.inspect(name, "{{.Id}}")
    yield identifier
    engine.remove(identifier)
    units.until_gone(identifier)


def test_a_container_is_a_scope_with_its_limits(engine, units, box):
    shown = units.show(box)
    assert (shown["LoadState"], shown["ActiveState"], shown["Delegate"]) == ("loaded", "active", "yes")
    assert (shown["MemoryMax"], shown["TasksMax"], shown["CPUQuotaPerSecUSec"]) == (str(64 * MIB), "40", "500ms")
    assert shown["Slice"] == ("user.slice" if engine.name == "rootless" else SLICE)
    group = Path("/sys/fs/cgroup" + shown["ControlGroup"])
    assert [(group / name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.max")] == [str(64 * MIB), "40", "50000 100000"]


def test_all_of_it_is_in_its_scope(engine, units, box):
    """The first process, what exec starts, and nothing of the engine's."""
    inside = engine.exec(box, "cat", "/proc/self/cgroup")
    group = units.show(box)["ControlGroup"]
    assert inside.strip() == "0::/", "cgroups are the container's own"
    assert Path(f"/proc/{engine.pid(box)}/cgroup").read_text().strip() == f"0::{group}"


def test_limits_are_changed(engine, units, box):
    engine.call("update", "--memory", "96m", *(["--memory-swap", "96m"] if engine.name == "docker" else []), box)
    assert units.show(box)["MemoryMax"] == str(96 * MIB)


def test_pause_and_what_goes_on(engine, units, box):
    engine.call("pause", box)
    frozen = Path("/sys/fs/cgroup" + units.show(box)["ControlGroup"]) / "cgroup.events"
    assert "frozen 1" in frozen.read_text()
    engine.call("unpause", box)
    assert "frozen 0" in frozen.read_text() and engine.status(box) == "running"


def test_too_much_memory_is_told(engine, units):
    """The kernel ends who takes it, and the rest goes on. (Debian 12's conmon sees nothing of it in a scope, whatever the runtime.)"""
    words = ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=128M count=1; echo ended $?; exec sleep 1000"]
    name = engine.started(*words, options=["--memory", "16m", "--memory-swap", "16m"], wanted=b"ended 137\n")
    identifier = engine.inspect(name, "{{.Id}}")
    if engine.name == "docker":
        poll(lambda: engine.inspect(name, "{{.State.OOMKilled}}") == "true", 20, "the engine doesn't know")
    engine.remove(name)
    units.until_gone(identifier)


def test_stop_ends_the_scope(engine, units):
    name = engine.started()
    identifier = engine.inspect(name, "{{.Id}}")
    assert units.show(identifier)["ActiveState"] == "active"
    engine.call("stop", "-t", "60", name)
    assert engine.inspect(name, "{{.State.ExitCode}}") == "3"
    units.until_gone(identifier)
    engine.remove(name)
