"""What hostile images and registries, and helpers that they took over, could do with a pull."""

import os
import threading

from lib import tars, web_faults as faults
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
