"""Docker, Podman and containerd on a host with cgroup v1 alone, and on one with v2 alone: a mount namespace shows them so.

v2 has few controllers here, for v1 holds the others: what they limit is a virtual machine's to try.
"""

import os
from pathlib import Path

import pytest

from lib.oci_engines import Containerd, Docker, Podman
from lib.runner import poll
from lib.world import own_cgroups


@pytest.fixture(scope="module", params=["v1-only", "v2-only"])
def view(request):
    if not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("no hybrid here, of which views could show a part")
    return request.param


@pytest.fixture(scope="module", params=[Docker, Podman], ids=lambda kind: kind.name)
def engine(request, make_engine, view):
    return make_engine(request.param, view=view)


LIMITS = {"v1-only": ["--pids-limit", "77", "-m", "64m"], "v2-only": ["--pids-limit", "0"]}  # podman asks for one by itself


@pytest.fixture
def box(engine):
    name = engine.started(options=LIMITS[engine.view])
    yield name
    engine.remove(name)


def cgroups(pid, name):
    """The hierarchies in which a container has a directory of its own, and where that is."""
    return {each: path for names, path in own_cgroups(pid).items() for each in names.split(",") if name in str(path)}


def test_its_cgroups_are_those_of_the_view(engine, box):
    found = cgroups(engine.pid(box), box)
    if engine.view == "v2-only":
        assert set(found) == {""}
        assert str(engine.pid(box)) in (found[""] / "cgroup.procs").read_text().split()
    else:
        assert {"memory", "pids", "cpu", "freezer", "devices"} <= set(found) and "" not in found
        assert (found["memory"] / "memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
        assert (found["pids"] / "pids.max").read_text() == "77\n"


def test_what_is_seen_inside(engine, box):
    """A cgroup namespace, and /sys/fs/cgroup of the same kind as the host's."""
    kinds = engine.exec(box, "awk", "$5 ~ /^.sys.fs.cgroup/ { print $(NF - 2) }", "/proc/self/mountinfo").split()
    if engine.view == "v2-only":
        assert kinds == ["cgroup2"]
        assert "cgroup.procs" in engine.exec(box, "ls", "/sys/fs/cgroup")
    else:
        assert set(kinds) == {"tmpfs", "cgroup"} and engine.exec(box, "cat", "/sys/fs/cgroup/pids/pids.max") == "77\n"


def test_a_command_joins(engine, box):
    """exec is in the container's cgroups, and takes part in what they do."""
    wanted = set(cgroups(engine.pid(box), box).values())
    engine.exec(box, "sleep", "1234", options=["-d"])

    def of_exec():
        for path in wanted:
            for pid in (path / "cgroup.procs").read_text().split():
                if Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0" + b"1234\0":
                    return pid
        return None
    poll(lambda: of_exec() is not None, 20, "it is in none of the container's cgroups")
    assert set(cgroups(of_exec(), box).values()) == wanted


def test_pause_holds(engine, box):
    found = cgroups(engine.pid(box), box)
    engine.call("pause", box)
    if engine.view == "v2-only":
        assert "frozen 1" in (found[""] / "cgroup.events").read_text()
    else:
        assert (found["freezer"] / "freezer.state").read_text() == "FROZEN\n"
    engine.call("unpause", box)
    assert engine.exec(box, "echo", "on") == "on\n"


def test_nothing_is_left(engine, box):
    found = cgroups(engine.pid(box), box)
    engine.call("stop", "-t", "20", box)
    assert engine.inspect(box, "{{.State.ExitCode}}") == "3"
    engine.remove(box)
    assert found and not [path for path in found.values() if path.exists()]


@pytest.mark.parametrize("view", ["v2-only"], indirect=True)
def test_a_limit_without_a_controller(engine):
    """Docker knows that it has none and leaves the limit out; what the runtime is asked for it refuses."""
    if "memory" in Path("/sys/fs/cgroup/unified/cgroup.controllers").read_text().split():
        pytest.skip("v2 has the controllers")
    done = engine.call(*engine.run_words("--rm", "-m", "64m", *LIMITS["v2-only"]), "box", "echo", "ran", status=None)
    if engine.name == "docker":
        assert done.stdout == b"ran\n" and b"memory limit" in done.stderr.lower(), done
    else:
        assert done.returncode in (125, 126) and b"memory" in done.stderr, done


def test_a_task_of_containerds(make_engine, view):
    ctr = make_engine(Containerd, view=view)
    ctr.start("live", options=["--cpu-shares", "0"])  # ctr asks for some by itself
    pid, status = ctr.tasks()["live"]
    assert status == "RUNNING" and ("" in cgroups(pid, "live")) == (view == "v2-only")
    assert ctr.exec("live", "echo", "in") == "in\n"
    ctr.call("task", "pause", "live")
    assert ctr.tasks()["live"][1] == "PAUSED"
    ctr.call("task", "resume", "live")
    assert ctr.call("task", "metrics", "live")
    ctr.remove("live")
    assert not os.path.exists(f"/proc/{pid}")
