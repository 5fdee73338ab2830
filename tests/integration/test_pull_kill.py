"""Pulls that are killed at any moment: the store stays whole, nothing is stuck, and the next pull goes on."""

import json
import os
import random
import re
import signal
import statistics
import time

import pytest

from lib import samples, tars, trees
from lib.images import make_image, make_layer, push
from lib.pulling import Pulls, all_gone, hold_back, kill_group, verbs_of
from lib.runner import descendants, poll

MIB = 1 << 20
SEED = int(os.environ.get("CLOISTER_KILL_SEED", "20261129"))
MOMENTS = {("root", "small"): 80, ("root", "middle"): 45, ("user", "small"): 50, ("user", "middle"): 25}  # 200
PAIRS = 8
STAGES = ["fetch", "verify", "inflate", "verify-stream", "unpack"]


@pytest.fixture(scope="module")
def middle():
    """Four layers of 4 MiB."""
    source = random.Random(SEED)
    return make_image([make_layer([tars.directory(f"d{n}"), tars.file(f"d{n}/data", source.randbytes(4 * MIB)), *(tars.file(f"d{n}/{i}", "x") for i in range(200))])
                       for n in range(4)])


class Targets:
    """The images, in everybody's registry, and what a clean pull makes of each."""

    def __init__(self, cloister, registry, middle):
        self.cloister, self.images, self.names, self.trees, self.seconds = cloister, {"small": samples.small_image(), "middle": middle}, {}, {}, {}
        for what, image in self.images.items():
            self.names[what] = push(image, registry, f"kill/{what}")

    def clean(self, what):
        """How long a pull takes, once its trees are known."""
        if what not in self.trees:
            taken = []
            for _ in range(3):
                pulls = Pulls(self.cloister)
                taken.append(pulls.pull("-q", self.names[what]).ok().seconds)
                self.trees[what] = snapshot(pulls)
            self.seconds[what] = statistics.median(taken)
        return self.seconds[what]


def snapshot(pulls):
    """{chain: tree} of a store; the top and whiteouts have the time of the pull."""
    found = {}
    for chain, tree in pulls.snapshot().items():
        found[chain] = {name: node for name, node in tree.items() if name != "." and node.type != "char"}
    return found


@pytest.fixture(scope="module")
def targets(registry, middle, as_root, as_user):
    return {cloister.identity: Targets(cloister, registry, middle) for cloister in (as_root, as_user)}


@pytest.fixture
def nobody_new(world):
    """Call it: every process that came since the start has gone."""
    before = world.processes()

    def check(timeout=5):
        poll(lambda: not [pid for pid in world.processes() - before if not all_gone([pid])], timeout,
             lambda: f"still there: {[(pid, os.readlink(f'/proc/{pid}/exe')) for pid in world.processes() - before]}")
    return check


def is_whole(pulls, wanted=None):
    """Each layer that can be found is there with its record; and has the tree that it should have."""
    for chain in pulls.chains():
        layer = pulls.layer(chain)
        assert (layer / "record").stat().st_size > 0 and (layer / "tree").is_dir(), layer
    for image in pulls.names("launch"):
        assert (pulls.path / "images" / image).exists(), f"a launch record without what it is of: {image}"
    for reference in pulls.names("refs"):
        assert (pulls.path / "refs" / reference).stat().st_nlink > 1, "a name of an image that isn't there"
    if wanted is not None:
        for chain, tree in snapshot(pulls).items():
            trees.assert_same(wanted[chain], tree, names=("clean", "killed"))


def finish(pulls, targets, what):
    """The next pull takes no longer than another, yields the image, and leaves nothing of those before it."""
    outcome = pulls.pull("-q", targets.names[what]).ok()
    assert outcome.seconds < 5 * targets.clean(what) + 3, f"something was stuck: {outcome}"
    image = targets.images[what]
    if pulls.names("downloads"):  # killed when all but this was done: nothing is downloaded any more, and prune takes it
        pulls.call("prune", "--images").ok()
    pulls.has(image, targets.names[what]).is_settled(killed=True)
    is_whole(pulls, targets.trees[what])
    assert len(pulls.names("chains")) == len(image.layers)
    assert len(pulls.names("layers")) == len(image.layers), "layers that nobody can find"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("identity, what", MOMENTS, ids=["-".join(key) for key in MOMENTS])
def test_kill_at_random_moments(targets, nobody_new, as_root, as_user, identity, what):
    """The same store again and again, until the image is there: then a new one."""
    mine = targets[identity]
    duration, source = mine.clean(what), random.Random(f"{SEED} {identity} {what}")
    pulls = Pulls(mine.cloister)
    for kills in range(MOMENTS[identity, what]):
        moment, whole_group = source.uniform(0, 1.2 * duration), source.random() < 0.5
        with pulls.start("-q", mine.names[what]) as running:
            time.sleep(moment)
            (kill_group if whole_group else lambda one: one.process.kill())(running)
            running.process.wait(20)
        nobody_new()
        is_whole(pulls, mine.trees[what] if kills % 10 == 0 else None)
        if pulls.names("refs"):
            finish(pulls, mine, what)
            pulls = Pulls(mine.cloister)
    finish(pulls, mine, what)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("identity", ["root", "user"])
def test_kill_one_of_two_pulls(targets, nobody_new, identity):
    """The other one does what is left."""
    mine = targets[identity]
    duration, source = mine.clean("small"), random.Random(f"{SEED} {identity} pair")
    for _ in range(PAIRS):
        pulls = Pulls(mine.cloister)
        with pulls.start("-q", mine.names["small"]) as victim, pulls.start("-q", mine.names["small"]) as other:
            time.sleep(source.uniform(0, duration))
            kill_group(victim)
            victim.process.wait(20)
            outcome = other.wait(30).ok()
        assert outcome.lines() == [mine.images["small"].digest]
        nobody_new()
        finish(pulls, mine, "small")


# -- two pulls at once, step by step

def test_two_pulls_of_one_image_do_the_work_once(pulls, fake_registry, middle):
    name = fake_registry.add(middle)
    hold = hold_back(fake_registry, middle.layers[0].blob, MIB)
    with pulls.start("-q", name) as first:
        fake_registry.wait_seen(middle.layers[0].blob.digest)
        with pulls.start("--format", "json", name) as second:
            second.expect(b'"waiting"')
            hold.released = True
            assert first.wait().ok().lines() == [middle.digest]
            second.wait().ok()
    for layer in middle.layers:
        assert len(fake_registry.seen(layer.blob.digest)) == 1, "fetched by both"
    pulls.has(middle, name).is_settled(killed=True)
    assert len(pulls.names("layers")) == 4


def test_many_pulls_of_one_image_do_the_work_once(pulls, registry, repository, middle):
    name = push(middle, registry, repository)
    running = [pulls.start("-q", name) for _ in range(5)]
    try:
        for one in running:
            assert one.wait().ok().lines() == [middle.digest]
    finally:
        for one in running:
            one.stop()
    pulls.has(middle, name).is_settled(killed=True)
    wanted = [layer.blob.digest for layer in middle.layers]
    time.sleep(0.1)  # the log is written a moment after the answer
    fetched = [digest for request in registry.requests for digest in wanted if request.path == f"/v2/{repository}/blobs/{digest}" and request.method == "GET"]
    assert sorted(fetched) == sorted(wanted)


def test_two_images_at_once_share_the_layer_below(pulls, fake_registry, middle):
    """Each waits for the other's without holding what that one waits for."""
    one = make_image([*middle.layers, make_layer([tars.file("one")])])
    two = make_image([*middle.layers, make_layer([tars.file("two")])])
    names = [fake_registry.add(image, f"some/{number}") for number, image in enumerate((one, two))]
    with pulls.start("-q", names[0]) as first, pulls.start("-q", names[1]) as second:
        first.wait().ok()
        second.wait().ok()
    pulls.has(one, names[0]).has(two, names[1]).is_settled(killed=True)
    assert len(pulls.names("layers")) == 6
    for layer in middle.layers:
        assert len(fake_registry.seen(layer.blob.digest)) == 1, "fetched by both"


def test_waiting_pull_goes_on_where_the_killed_one_was(pulls, fake_registry, middle):
    name, blob = fake_registry.add(middle), middle.layers[0].blob
    hold = hold_back(fake_registry, blob, 2 * MIB)
    download = pulls.path / "downloads" / blob.digest[7:]
    with pulls.start("-q", name) as first:
        poll(lambda: download.exists() and download.stat().st_size == 2 * MIB, 20, "the first pull never came to the middle")
        with pulls.start("--format", "json", name) as second:
            second.expect(b'"waiting"')
            kill_group(first)
            second.wait().ok()
    hold.released = True
    assert [seen.range for seen in fake_registry.seen(blob.digest)] == [None, f"bytes={2 * MIB}-{blob.size - 1}"] or \
        [seen.range for seen in fake_registry.seen(blob.digest)] == [None, f"bytes={2 * MIB}-"]
    pulls.has(middle, name).is_settled(killed=True)


def test_waiting_pull_can_be_killed_too(pulls, fake_registry, middle, nobody_new):
    name = fake_registry.add(middle)
    hold = hold_back(fake_registry, middle.layers[0].blob, MIB)
    with pulls.start("-q", name) as first:
        fake_registry.wait_seen(middle.layers[0].blob.digest)
        with pulls.start("--format", "json", name) as second:
            second.expect(b'"waiting"')
            second.process.kill()
            second.process.wait(20)
        hold.released = True
        first.wait().ok()
    nobody_new()
    pulls.has(middle, name).is_settled(killed=True)


# -- in the middle of a layer

@pytest.fixture
def in_the_middle(pulls, fake_registry, middle):
    """A pull whose first layer has stopped after a MiB, and how to let it go on."""
    hold = hold_back(fake_registry, middle.layers[0].blob, MIB)
    name = fake_registry.add(middle)
    with pulls.start("-q", name) as running:
        fake_registry.wait_seen(middle.layers[0].blob.digest)
        poll(lambda: set(verbs_of(running.pid)) >= set(STAGES), 20, lambda: f"only {verbs_of(running.pid)}")
        running.name, running.hold = name, hold
        yield running
        hold.released = True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_helpers_end_with_their_pull(pulls, in_the_middle, middle, nobody_new, number):
    below = descendants(in_the_middle.pid)
    assert len(below) >= 5
    in_the_middle.signal(number)
    assert in_the_middle.process.wait(20) == -number
    poll(lambda: all_gone(below), 5, "helpers outlive their pull")
    nobody_new()
    pulls.pull("-q", in_the_middle.name).ok()
    pulls.has(middle).is_settled(killed=True)


@pytest.mark.parametrize("stage", STAGES)
def test_helper_that_is_killed_ends_its_pull(pulls, in_the_middle, middle, nobody_new, stage):
    """With an error, and without harm: the next pull goes on."""
    os.kill(verbs_of(in_the_middle.pid)[stage][0], signal.SIGKILL)
    if stage != "fetch":
        in_the_middle.hold.released = True
    outcome = in_the_middle.wait(30)
    # of four layers, another one's stage may have been it
    outcome.refused(re.escape(in_the_middle.name), "cloister-fetch" if stage == "fetch" else "layer sha256:.*from outside")
    nobody_new()
    pulls.is_empty("downloads", "layers", "chains")
    pulls.pull("-q", in_the_middle.name).ok()
    pulls.has(middle).is_settled(killed=True)


def test_locks_go_with_their_holder(pulls, in_the_middle, middle):
    """Stopped, it keeps its layers for itself; killed, no longer."""
    in_the_middle.signal(signal.SIGSTOP)
    with pulls.start("--format", "json", in_the_middle.name) as second:
        second.expect(b'"waiting"')
        time.sleep(0.3)
        assert second.process.poll() is None
        in_the_middle.process.kill()
        in_the_middle.hold.released = True
        second.wait().ok()
    pulls.has(middle).is_settled(killed=True)
