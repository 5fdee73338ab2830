"""config.json of any content: what is none is refused with the field's path and leaves nothing, what is unknown is ignored."""

import json
import os

import pytest

from lib.oci_bundle import Bundle
from lib.runner import text

DEEP = 100_000


@pytest.fixture
def raw(anyone, nothing_left):
    """Gives bytes as config.json to create, which refuses them."""
    def give(data, *needles, field=None):
        bundle = anyone.bundle()
        bundle.raw = data if isinstance(data, bytes) else data.encode()
        outcome = anyone.rejects(bundle, *needles, field=field)
        nothing_left([anyone])
        return outcome
    return give


def whole(anyone):
    return json.dumps(anyone.bundle().config)


# not JSON

@pytest.mark.parametrize("data", ["", " ", "{", "[]", "null", "true", "5", '"text"', "{]", "{,}", "{'a': 1}", "nonsense", "{} {}", '{"a":}', '{"a" 1}', "\ufeff{}",
                                  b"\xff\xfe{\0}\0", b"\0", '{"ociVersion": "1.0.2", // no comments\n}', '{"a": NaN}', '{"a": 01}', '{"a": "\\x"}', '{"a": "\t"}'])
def test_what_is_no_json(raw, data):
    raw(data)


def test_garbage_behind_a_whole_configuration(anyone, raw):
    raw(whole(anyone) + "x")


def test_a_configuration_that_ends_early(anyone, raw):
    data = whole(anyone)
    for part in (len(data) // 3, len(data) - 1):
        raw(data[:part])


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"a\\u0000b"'], ids=repr)
def test_texts_that_are_no_unicode_or_have_zeros(anyone, raw, data):
    """Of an argument: no program can be given them."""
    raw(json.dumps(anyone.bundle().args("true", "HERE").config).encode().replace(b'"HERE"', data))


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_nesting_without_an_end(anyone, raw, opening, closing):
    raw('{"ociVersion": "1.0.2", "deep": ' + opening * DEEP + "1" + closing * DEEP + "}")


def test_nesting_in_a_field(anyone, raw):
    raw(whole(anyone).replace('"args": ["true"]', '"args": ' + "[" * DEEP + "]" * DEEP))


@pytest.mark.parametrize("name", ["process", "args", "path"])
def test_names_that_come_twice(anyone, raw, name):
    """What a reader takes for the value, and what a checker did, may differ."""
    data = whole(anyone)
    first = data.index(f'"{name}": ')
    end = {"process": '{}, ', "args": '["false"], ', "path": '"/", '}[name]
    raw(data[:first] + f'"{name}": {end}' + data[first:], field=name)


def test_a_huge_configuration(anyone, raw):
    """32 MiB of a text: an error, or else what it says is done."""
    bundle = anyone.bundle().annotate(big="x" * (32 << 20))
    made = anyone.try_create(bundle)
    assert anyone.refused(made) if not hasattr(made, "pid") else made.delete("--force")


# types and missing parts, of each field

def test_a_version_is_needed(anyone, raw):
    config = anyone.bundle().config
    del config["ociVersion"]
    raw(json.dumps(config), field="ociVersion")


@pytest.mark.parametrize("version", ["", "1", "one", "1.0", 1.0, None, "2.0.0", "0.1.0", "1.0.2.3", "v1.0.2"], ids=str)
def test_versions_that_are_none(anyone, raw, version):
    """SemVer, and of a major version that is this one: older runtimes' leniency is not asked for."""
    raw(json.dumps({**anyone.bundle().config, "ociVersion": version}), field="ociVersion")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2", "1.0.2-dev", "1.0.0-rc5", "1.1.0", "1.1.0+dev", "1.2.0", "1.2.1", "1.3.0", "1.99.7-rc.1+build.5"])
def test_versions_of_the_same_major(anyone, version):
    """A newer one is accepted when its fields are."""
    assert anyone.output(anyone.bundle().set("ociVersion", version).sh("echo fine")) == "fine\n"


REQUIRED = ["root", "root.path", "process.user.uid", "process.user.gid", "process.args", "process.cwd", "process.rlimits.0.type", "process.rlimits.0.soft",
            "process.rlimits.0.hard", "mounts.0.destination", "linux.namespaces.0.type", "linux.seccomp.defaultAction", "linux.resources.devices.0.allow"]


def dotted(path):
    """A path as messages have it: process.rlimits[0].type."""
    words = []
    for part in path.split("."):
        if part.isdigit():
            words[-1] += f"[{part}]"
        else:
            words.append(part)
    return ".".join(words)


@pytest.mark.parametrize("path", REQUIRED)
def test_what_is_required(runtime, path, nothing_left):
    runtime.rejects(runtime.bundle().remove(path), field=dotted(path))
    nothing_left([runtime])


def test_a_process_is_needed_to_run(runtime, nothing_left):
    """OPTIONAL; REQUIRED when start is called."""
    outcome = runtime.run(runtime.bundle().remove("process"))
    runtime.refused(outcome, field="process")
    nothing_left([runtime])


def leaves(value, path=""):
    """Every field of a configuration that has a value of its own, the first of each list."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{path}.{name}".lstrip("."), below
            yield from leaves(below, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        yield f"{path}.0", value[0]
        yield from leaves(value[0], f"{path}.0")


OTHERS = {bool: "yes", int: "5", str: 5, dict: [], list: {}}


def all_fields():
    """Those of Docker's configuration, and the others that tests here know."""
    bundle = Bundle("/x", "/x", "/x")
    bundle.set("process.terminal", False).set("process.consoleSize", {"height": 1, "width": 1}).set("process.noNewPrivileges", True)
    bundle.set("process.user.umask", 18).set("process.user.additionalGids", [1]).set("process.capabilities.ambient", ["CAP_CHOWN"])
    bundle.set("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 4}).set("process.scheduler", {"policy": "SCHED_OTHER", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]})
    bundle.set("process.execCPUAffinity", {"initial": "0", "final": "0"}).set("root.readonly", False).set("domainname", "x").annotate(a="b")
    bundle.set("linux.timeOffsets", {"boottime": {"secs": 1, "nanosecs": 1}}).set("linux.sysctl", {"net.core.somaxconn": "5"}).set("linux.rootfsPropagation", "private")
    bundle.set("linux.devices", [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}])
    bundle.set("linux.personality", {"domain": "LINUX"}).set("linux.mountLabel", "x").map_ids(1, 1)
    bundle.resources(memory={"limit": 1 << 26, "reservation": 1 << 26, "swap": 1 << 26, "swappiness": 5, "disableOOMKiller": False, "checkBeforeUpdate": True},
                     cpu={"shares": 5, "quota": 50000, "period": 100000, "burst": 0, "cpus": "0", "mems": "0", "idle": 0}, pids={"limit": 5}, unified={"memory.max": "5"},
                     hugepageLimits=[{"pageSize": "2MB", "limit": 5}], network={"classID": 1, "priorities": [{"name": "lo", "priority": 5}]}, rdma={"x": {"hcaHandles": 1, "hcaObjects": 1}},
                     blockIO={"weight": 100, "leafWeight": 100, "weightDevice": [{"major": 8, "minor": 0, "weight": 100}], "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}]})
    bundle.hook("createRuntime", "/bin/true", timeout=5, env=["A=b"])
    bundle.set("linux.intelRdt", {"closID": "x", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "enableCMT": True})
    return bundle


FIELDS = [(path, type(value)) for path, value in leaves(all_fields().config)
          if not path.startswith(("linux.seccomp.syscalls", "annotations.", "linux.sysctl.", "linux.resources.unified."))]


@pytest.mark.parametrize("path, kind", FIELDS, ids=[path for path, _ in FIELDS])
def test_each_field_of_a_wrong_type(runtime, path, kind):
    """The other fields that are needed for it are those of all_fields(), alone with it where the kernel might refuse them first."""
    bundle = runtime.bundle()
    source = all_fields().config
    parts = path.split(".")
    top = ".".join(parts[:3 if parts[:2] == ["linux", "resources"] else 2 if parts[0] in ("process", "linux", "hooks", "root") else 1])
    value = source
    for part in top.split("."):
        value = value[int(part) if part.isdigit() else part]
    bundle.set(top, value)
    bundle.set(path, OTHERS[kind])
    runtime.rejects(bundle, field=dotted(path))


@pytest.mark.parametrize("path, value", [("process.user.uid", 1.0), ("process.user.uid", 1e3), ("process.user.uid", 1 << 32), ("process.user.uid", -1),
                                         ("process.user.uid", 10 ** 30), ("process.rlimits.0.soft", 1 << 64), ("process.oomScoreAdj", 10 ** 20),
                                         ("linux.resources.pids.limit", 1 << 64), ("linux.resources.memory.limit", -(1 << 64))], ids=str)
def test_numbers_out_of_range(runtime, path, value):
    if isinstance(value, float):
        made = runtime.try_create(runtime.bundle().set(path, value))  # 1.0 and 1000.0 are integers to some
        assert hasattr(made, "pid") or runtime.refused(made, field=dotted(path))
        return
    runtime.rejects(runtime.bundle().set(path, value), field=dotted(path))


NULLS = ["hostname", "annotations", "mounts", "hooks", "linux.resources", "linux.seccomp", "linux.maskedPaths", "process.capabilities", "process.rlimits", "process.env"]


@pytest.mark.parametrize("path", NULLS)
def test_null_for_an_optional_field(runtime, path):
    """Go's encoders write it for what is absent: taken as absent, or refused with the field's name; never anything else."""
    made = runtime.try_create(runtime.bundle(own_rootfs=True).args("/bin/true").set(path, None))
    if hasattr(made, "pid"):
        made.is_now("created")
    else:
        runtime.refused(made, field=path)


# unknown properties

@pytest.mark.parametrize("path", ["unknown", "process.unknown", "root.unknown", "linux.unknown", "linux.resources.unknown", "linux.seccomp.unknown", "mounts.0.unknown",
                                  "linux.namespaces.0.unknown", "process.user.unknown", "windows", "vm", "solaris", "zos"])
def test_unknown_properties_are_ignored(anyone, path):
    """Runtimes MAY log unknown properties but MUST otherwise ignore them."""
    if anyone.identity == "user" and "resources" in path:
        path = "linux.unknownToo"
    bundle = anyone.bundle().set(path, {"any": [1, "thing", None]}).sh("echo fine")
    assert anyone.output(bundle) == "fine\n"


def test_fields_of_newer_versions_are_ignored(anyone):
    bundle = anyone.bundle().set("ociVersion", "1.3.0").set("linux.netDevices", {}).set("linux.memoryPolicy", None).set("process.newThing", 5)
    assert anyone.output(bundle.remove("linux.memoryPolicy").sh("echo fine")) == "fine\n"


def test_names_differ_by_case(anyone, raw):
    """Some readers take them for the same: a document that means two things is refused."""
    config = anyone.bundle().config
    config["Process"] = {"args": ["false"]}
    bundle = anyone.bundle()
    bundle.raw = json.dumps(config).encode()
    anyone.rejects(bundle, field="Process")


# files

@pytest.mark.parametrize("kind", ["directory", "fifo", "device", "unreadable"])
def test_a_configuration_that_is_no_file(make_runtime, kind, nothing_left):
    """A fifo may not hang it."""
    runtime = make_runtime("user" if kind == "unreadable" else "root")
    bundle = runtime.bundle().write()
    bundle.path.unlink()
    if kind == "directory":
        bundle.path.mkdir()
    elif kind == "fifo":
        os.mkfifo(bundle.path)
    elif kind == "device":
        bundle.path.symlink_to("/dev/zero")
    else:
        bundle.path.write_text("{}")
        bundle.path.chmod(0)
        os.chown(bundle.path, 0, 0)
    runtime.refused(runtime.call("create", "--bundle", bundle.directory, runtime.new_id(), timeout=20))
    nothing_left([runtime])


def test_an_error_is_short(anyone):
    """Whatever is in the configuration: a line that a log can hold."""
    bundle = anyone.bundle().set("process.cwd", "x" * 1_000_000)
    outcome = anyone.rejects(bundle)
    assert anyone.is_reference or len(text(outcome.err)) < 2000


def test_nothing_of_the_text_reaches_the_terminal_raw(anyone):
    """Escapes of terminals in a name that is told."""
    bundle = anyone.bundle().args("/no/\x1b[2Jsuch\x07")
    outcome = anyone.rejects(bundle)
    assert anyone.is_reference or b"\x1b" not in outcome.err and b"\x07" not in outcome.err
