"""What hostile images and registries, and helpers that they took over, could do with a pull."""

import os
import threading

import pytest

from lib import samples, tars, web_faults as faults
from lib.images import make_image, make_layer
from lib.pulling import verbs_of
from lib.runner import poll


def image_of(*names):
    return make_image([make_layer([tars.file(name, f"{name}\n")]) for name in names], {"Cmd": ["/bin/true"]})


# -- what helpers hold

def descriptors(pid):
    """What a process has open: {number: what it leads to}."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


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
