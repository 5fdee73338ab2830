"""What hostile images and registries, and helpers that they took over, could do with a pull."""

import json
import os
import threading

import pytest

from lib import layouts, samples, tars, web_faults as faults
from lib.images import make_image, make_layer
from lib.patience import patience
from lib.pulling import hold_back, verbs_of
from lib.runner import descriptors, poll


def image_of(*names):
    return make_image([make_layer([tars.file(name, f"{name}\n")]) for name in names], {"Cmd": ["/bin/true"]})


# -- what helpers hold

def test_helpers_have_nothing_of_the_callers(pulls, fake_registry):
    """Neither the terminal, which can be read and takes escape sequences, nor a log, which can be cut off."""
    image = image_of("file")
    name = fake_registry.add(image)
    until = threading.Event()
    fake_registry.on(f"/blobs/{image.layers[0].blob.digest}", faults.silent(until))
    with pulls.start(name) as running:
        poll(lambda: {"fetch", "unpack", "inflate", "verify"} <= set(verbs_of(running.pid)), 10, "all helpers at once")
        callers = {descriptors(running.pid)[number] for number in (0, 1, 2)}
        seen = {verb: descriptors(pid) for verb, pids in verbs_of(running.pid).items() for pid in pids}
        until.set()
        assert running.wait().ok().lines() == [image.digest]
    assert len(callers) == 3 and not {verb: found for verb, found in seen.items() if callers & set(found.values())}, f"{callers}, {seen}"


# -- what layers hide

@pytest.mark.parametrize("top", ["", "./"])
@pytest.mark.parametrize("above", [0, 1], ids=["topmost", "below-others"])
def test_a_layer_that_hides_all_below_it(pulls, fake_registry, top, above):
    """Its mark is at its top, where overlay ignores it. Also where the layers are there from another image."""
    lower = [tars.directory("etc"), tars.file("etc/secret", "taken back by the author\n")]
    hiding = [tars.file(f"{top}.wh..wh..opq"), *samples.program_entries()]
    layers = [make_layer(entries) for entries in (lower, lower, hiding, *[[tars.file("more", "m\n")]] * above)]
    for image in (make_image(layers), make_image(layers, {"User": "12"})):
        name = fake_registry.add(image)
        pulls.pull(name).ok()
        hidden = pulls.run(name, "cat", "/etc/secret")
        assert hidden.exit == 1 and hidden.out == b"", f"what the layer hides is there: {hidden}"
        assert pulls.run(name, "find", "/more").lines() == ["/more"] * above


# -- what lets others wait

def test_a_users_name_behind_endless_paths(pulls, fake_registry):
    """Links that each lead a thousand directories down, which every layer has: the walk would take ten seconds and more (of 127 layers: minutes)."""
    deep, links = "/".join(["d"] * 990), 38
    lowest = [tars.directory("bin"), *samples.program_entries(), tars.symlink("etc", f"/{deep}/l0"), tars.directory(deep),
              *(tars.symlink(f"{deep}/l{n}", f"/{deep}/" + (f"l{n + 1}" if n < links - 1 else "e")) for n in range(links)),
              tars.directory(f"{deep}/e"), tars.file(f"{deep}/e/passwd", "u:x:7:7::/:/bin/sh\n")]
    above = [[tars.directory(deep), tars.file(f"n{n}")] for n in range(9)]
    image = make_image([make_layer(entries) for entries in (lowest, *above)], {"User": "u", "Cmd": ["/bin/true"]})
    name = fake_registry.add(image)
    pulls.pull("-q", name).ok()
    outcome = pulls.run(name, "/bin/true")
    assert outcome.seconds < patience(5) and outcome.exit != 0, f"{outcome}"
    pulls.run(name, "/bin/true", opts=["-u", "7"]).ok()
    pulls.call("rmi", name).ok()  # too deep for Python


def test_many_names_of_an_image_with_much_to_say(pulls, world):
    """Each name leads to the launch record, which may have megabytes: they must not be in memory together."""
    layers = [make_layer(samples.program_entries(), "none")]
    image = make_image(layers, {"Cmd": ["/bin/true"], "Env": [f"E{n}={'x' * 900}" for n in range(1000)]})
    archive = world.directory("archive") / "many.tar"
    (saved,) = json.loads(layouts.docker_manifest({"many/names:0": image}))
    saved["RepoTags"] = [f"many/names:{n}" for n in range(400)]
    layouts.write_docker_archive(archive, {"many/names:0": image}, manifest=json.dumps([saved]).encode())
    archive.chmod(0o644)
    pulls.call("import", f"docker-archive:{archive}").ok()
    (listed,) = json.loads(pulls.call("images", "--format", "json").ok().out)
    assert len(listed["names"]) == 400
    pulls.call("rmi", "-f", "many/names:7").ok()
    pulls.call("prune", "--all").ok()
    pulls.is_empty()


def test_failed_pulls_keep_to_the_budget(user_pulls, fake_registry):
    """Each leaves a layer that is whole, for the next one; with the third all that nobody uses is too much, and goes."""
    user_pulls.configure({"store": {"budget": "5MiB"}})
    left = []
    for number in range(4):
        whole, broken = make_layer([tars.file("whole", bytes([number]) * (2 << 20))]), make_layer([tars.file(f"broken{number}")])
        broken = type(broken)(broken.blob, "sha256:" + "0" * 64, broken.compression)
        hold = hold_back(fake_registry, broken.blob, 1)
        before = set(user_pulls.names("layers"))
        with user_pulls.start("-q", fake_registry.add(make_image([whole, broken]))) as running:
            poll(lambda: set(user_pulls.names("layers")) - before, 10, "the layer that is whole")
            hold.released = True
            assert running.wait().exit == 125
        left.append(len(user_pulls.names("layers")))
    assert left == [1, 2, 0, 1], user_pulls.left()
