"""--systemd-cgroup: a container's cgroup is a scope of systemd's, with the bundle's limits as its properties."""

import json
import subprocess
from pathlib import Path

import pytest

from lib.runner import poll
from lib.world import own_cgroups

SYSTEMD = ["--systemd-cgroup"]
MIB = 1 << 20
IS_THERE = Path("/run/systemd/system").is_dir()
needs_systemd = pytest.mark.skipif(not IS_THERE, reason="no systemd runs here")
NAMES = ("LoadState", "ActiveState", "Slice", "ControlGroup", "Delegate", "MemoryMax", "TasksMax", "CPUWeight", "CPUQuotaPerSecUSec", "TimeoutStopUSec",
         "AllowedCPUs", "Description", "CollectMode")


def show(unit):
    shown = subprocess.run(["systemctl", "show", "-p", ",".join(NAMES), unit], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


def gone(unit):
    return show(unit)["LoadState"] == "not-found"


@pytest.fixture
def boxed(runtime):
    """A bundle for systemd's manager, and its unit."""
    def make(slice_name="cltest.slice"):
        identifier = runtime.new_id()
        bundle = runtime.bundle()
        bundle.linux["cgroupsPath"] = f"{slice_name}:cltest:{identifier}"
        bundle.linux["resources"].update(memory={"limit": 64 * MIB}, pids={"limit": 50}, cpu={"shares": 512, "quota": 50000, "period": 100000})
        return bundle, identifier, f"cltest-{identifier}.scope"
    return make


def begin(runtime, bundle, identifier):
    container = runtime.started(bundle.sh("echo began; exec sleep 1000"), identifier=identifier, options=SYSTEMD)
    container.expect(b"began\n")
    return container


def end(container, unit):
    container.kill("KILL")
    container.ended()
    container.delete("--force")
    poll(lambda: gone(unit), 20, "the scope stays")


@needs_systemd
def test_it_is_a_delegated_scope_in_its_slice(runtime, boxed):
    bundle, identifier, unit = boxed()
    container = begin(runtime, bundle, identifier)
    shown = show(unit)
    assert (shown["LoadState"], shown["ActiveState"], shown["Delegate"], shown["Slice"]) == ("loaded", "active", "yes", "cltest.slice")
    assert shown["ControlGroup"] == f"/cltest.slice/{unit}"
    top = own_cgroups(container.pid)[""]
    assert str(top).endswith(shown["ControlGroup"])
    # the holder of its beginning is gone, and nobody else of the runtime's is there
    assert (top / "cgroup.procs").read_text().split() == [str(container.pid)]
    assert (shown["MemoryMax"], shown["TasksMax"], shown["CPUWeight"], shown["CPUQuotaPerSecUSec"]) == (str(64 * MIB), "50", "20", "500ms")
    assert (top / "memory.max").read_text().strip() == str(64 * MIB)
    assert (top / "pids.max").read_text().strip() == "50"
    end(container, unit)


@needs_systemd
def test_slices_within_slices(runtime, boxed):
    bundle, identifier, unit = boxed("cltest-inner-most.slice")
    container = begin(runtime, bundle, identifier)
    assert show(unit)["ControlGroup"] == f"/cltest.slice/cltest-inner.slice/cltest-inner-most.slice/{unit}"
    end(container, unit)


@needs_systemd
def test_annotations_are_properties(runtime, boxed):
    bundle, identifier, unit = boxed()
    bundle.config["annotations"] = {"org.systemd.property.TimeoutStopSec": "uint64 7", "org.systemd.property.Description": "'of a test'",
                                    "org.systemd.property.AllowedCPUs": "[byte 1]", "org.systemd.property.CollectMode": "'inactive'"}
    container = begin(runtime, bundle, identifier)
    shown = show(unit)
    assert (shown["TimeoutStopUSec"], shown["Description"], shown["AllowedCPUs"], shown["CollectMode"]) == ("7s", "of a test", "0", "inactive")
    end(container, unit)


@needs_systemd
@pytest.mark.parametrize("name, value, needle", [("TimeoutStopUSec", "seven", "TimeoutStopUSec"), ("No-Property", "true", "No-Property"),
                                                 ("NoSuchProperty", "true", "NoSuchProperty"), ("MemoryMax", "'much'", "systemd says")])
def test_what_is_no_property_is_refused(runtime, boxed, name, value, needle):
    bundle, identifier, unit = boxed()
    bundle.config["annotations"] = {f"org.systemd.property.{name}": value}
    made = runtime.try_create(bundle, identifier=identifier, options=SYSTEMD)
    runtime.refused(made, needle)
    assert gone(unit) and runtime.left_of(identifier) == []


@needs_systemd
def test_an_update_holds_over_a_reload(runtime, boxed):
    bundle, identifier, unit = boxed()
    container = begin(runtime, bundle, identifier)
    runtime.call("update", "--resources", "-", identifier, input=json.dumps({"memory": {"limit": 96 * MIB}, "pids": {"limit": 60}}).encode()).ok()
    top = own_cgroups(container.pid)[""]
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert show(unit)["MemoryMax"] == str(96 * MIB)
    assert (top / "memory.max").read_text().strip() == str(96 * MIB)
    assert (top / "pids.max").read_text().strip() == "60"
    assert (top / "cpu.max").read_text().split() == ["50000", "100000"]
    end(container, unit)


@needs_systemd
def test_a_create_that_fails_leaves_no_scope(runtime, boxed):
    bundle, identifier, unit = boxed()
    bundle.config["root"]["path"] = "/nonexistent"
    runtime.refused(runtime.try_create(bundle, identifier=identifier, options=SYSTEMD), "nonexistent")
    poll(lambda: gone(unit), 20, "the scope stays")


@needs_systemd
def test_its_end_is_the_scopes(runtime, boxed):
    bundle, identifier, unit = boxed()
    container = begin(runtime, bundle, identifier)
    container.kill("KILL")
    container.ended()
    poll(lambda: gone(unit) or show(unit)["ActiveState"] == "inactive", 20, "the scope stays")
    container.delete()


@needs_systemd
def test_systemd_can_stop_it(runtime, boxed):
    bundle, identifier, unit = boxed()
    container = begin(runtime, bundle, identifier)
    subprocess.run(["systemctl", "kill", "--signal=KILL", unit], check=True)
    container.ended()
    container.delete()
    poll(lambda: gone(unit), 20, "the scope stays")


@pytest.mark.skipif(IS_THERE, reason="systemd runs here")
def test_without_systemd_it_is_told(runtime, boxed):
    bundle, identifier, _ = boxed()
    runtime.refused(runtime.try_create(bundle, identifier=identifier, options=SYSTEMD), "bus of systemd", "--cgroup-manager")
    assert runtime.left_of(identifier) == []


@pytest.mark.parametrize("path", ["/docker/x", "a.slice:b", "a:b:c", "a--b.slice:b:c", "a.slice:b:", "a.slice:b:c/d"])
def test_what_names_no_scope_is_refused(runtime, path):
    bundle = runtime.bundle()
    bundle.linux["cgroupsPath"] = path
    identifier = runtime.new_id()
    runtime.refused(runtime.try_create(bundle, identifier=identifier, options=SYSTEMD), field="linux.cgroupsPath")
    assert runtime.left_of(identifier) == []
