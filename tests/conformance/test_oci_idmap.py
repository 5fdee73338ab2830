"""Mounts whose owners are others inside: idmap, ridmap, and the mappings of a mount. Since version 1.1 or 1.2 of the specification."""

import os

import pytest


MAP = [{"containerID": 0, "hostID": 100000, "size": 1000}]


@pytest.fixture
def volume(runtime):
    made = runtime.directory("volume")
    (made / "file").write_text("")
    os.chown(made / "file", 5, 6)
    return made


def mapped(bundle, volume, option="idmap", uids=MAP, gids=MAP, bind="bind"):
    bundle.mount("/data", volume, bind, option)
    if uids is not None:
        bundle.config["mounts"][-1]["uidMappings"] = uids
    if gids is not None:
        bundle.config["mounts"][-1]["gidMappings"] = gids
    return bundle


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_owners_are_mapped(runtime, volume, option):
    """containerID is who the file belongs to, hostID who it belongs to in the mount, as in a user namespace's maps."""
    bundle = mapped(runtime.bundle(), volume, option).sh("stat -c %u:%g /data/file; touch /data/new 2>/dev/null || echo no")
    assert runtime.output(bundle) == "100005:100006\nno\n"  # root has no place in that mapping: EOVERFLOW


def test_what_is_made_there_is_mapped_back(runtime, volume):
    os.chmod(volume, 0o777)
    bundle = mapped(runtime.bundle(), volume).sh("touch /data/new && stat -c %u:%g /data/new")
    bundle.process["user"] = {"uid": 100007, "gid": 100008}
    assert runtime.output(bundle) == "100007:100008\n"
    assert ((volume / "new").stat().st_uid, (volume / "new").stat().st_gid) == (7, 8)


def test_several_ranges(runtime, volume):
    ranges = [{"containerID": 0, "hostID": 200000, "size": 5}, {"containerID": 5, "hostID": 1000, "size": 1}, {"containerID": 6, "hostID": 2000, "size": 1}]
    assert runtime.output(mapped(runtime.bundle(), volume, uids=ranges, gids=ranges).sh("stat -c %u:%g /data/file")) == "1000:2000\n"


@pytest.mark.parametrize("option, below", [("idmap", "5"), ("ridmap", "100005")])
def test_mounts_below_are_mapped_when_asked(runtime, volume, host_mounts, option, below):
    (volume / "sub").mkdir()
    other = runtime.directory("other")
    (other / "file").write_text("")
    os.chown(other / "file", 5, 6)
    host_mounts("--bind", other, volume / "sub")
    bundle = mapped(runtime.bundle(), volume, option, bind="rbind").sh("stat -c %u /data/file /data/sub/file")
    assert runtime.output(bundle).split() == ["100005", below]


def test_mappings_without_the_option(runtime, volume):
    """The option SHOULD be there; that the mappings are not silently ignored is its purpose."""
    bundle = mapped(runtime.bundle(), volume).sh("stat -c %u /data/file")
    bundle.config["mounts"][-1]["options"] = ["bind"]
    outcome = runtime.run(bundle)
    assert outcome.exit != 0 or outcome.out == b"100005\n", f"{outcome}"


def test_the_mapping_of_the_container_is_the_default(runtime, volume):
    """MAY, else an error: never a mount that isn't mapped."""
    bundle = runtime.bundle(own_rootfs=True).map_ids(100000, 100000, 1000)
    for directory, _, _ in os.walk(bundle.rootfs):
        os.chown(directory, 100000, 100000)
    outcome = runtime.run(mapped(bundle, volume, uids=None, gids=None).sh("stat -c %u:%g /data/file"))
    assert outcome.exit != 0 or outcome.out == b"5:6\n", f"{outcome}"


def test_a_mapping_is_refused_where_there_is_none(runtime, volume, nothing_left):
    """No mappings, and no user namespace: an error MUST be returned."""
    runtime.rejects(mapped(runtime.bundle(), volume, uids=None, gids=None), "idmap|mapping", field="mounts[7]")
    nothing_left([runtime])


@pytest.mark.parametrize("uids, gids", [(MAP, None), (None, MAP), ([], []), (MAP, []), ([{"containerID": 0, "hostID": 0}], MAP),
                                        ([{"containerID": 0, "hostID": 0, "size": 0}], MAP), (MAP * 2, MAP), ([{"containerID": -1, "hostID": 0, "size": 1}], MAP),
                                        ([{"containerID": 0, "hostID": "0", "size": 1}], MAP)], ids=str)
def test_mappings_that_are_none(runtime, volume, uids, gids, nothing_left):
    """If one is specified, it MUST be along with the other."""
    runtime.rejects(mapped(runtime.bundle(), volume, uids=uids, gids=gids), field="mounts[7]")
    nothing_left([runtime])


@pytest.mark.parametrize("source", ["/proc", "/sys"])
def test_file_systems_that_cannot_be_mapped(runtime, source, nothing_left):
    runtime.rejects(mapped(runtime.bundle(), source), field="mounts[7]")
    nothing_left([runtime])
