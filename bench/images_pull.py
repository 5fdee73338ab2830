"""Pulls from a registry on the loopback interface: cold ones against other engines', one layer against its floor, warm ones."""

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import images_run
import measure
from images import build_floor_inflate, environment, reason
from images_run import Command
from rig import BenchError, Competitor

from lib import engines, go_engines

OURS = "cloister pull"
BYTES = "skopeo copy alone"  # no tree: the bytes, and what they cost
MEMORY_TURNS = 3
FLOOR_FIELDS = ["compressed_bytes", "plain_bytes", "wall_ns", "cpu_ns", "blob_hash_ns", "inflate_ns", "plain_hash_ns"]


# ---- who pulls ----

class Puller:
    """One that pulls into an empty store; `absent` says why it can't."""

    def __init__(self, name, tools=()):
        self.name = name
        missing = [tool for tool in tools if shutil.which(tool) is None and not os.path.exists(tool)]
        self.absent = f"{os.path.basename(missing[0])} is not installed" if missing else ""

    def ready(self, place, image):
        """A context that gives the Command, with all that comes before it done, and takes the store away afterwards."""
        raise NotImplementedError


class Cloister(Puller):
    def __init__(self, rig):
        super().__init__(OURS)
        self.program = str(rig.cloister)
        self.absent = "" if os.access(self.program, os.X_OK) else f"{self.program} is not built"

    @contextlib.contextmanager
    def ready(self, place, image, *options):
        yield Command([self.program, "pull", *options, image], {**os.environ, "CLOISTER_STORE": str(place / "store")})


class Podman(Puller):
    def __init__(self):
        super().__init__("podman pull", ["podman"])

    @contextlib.contextmanager
    def ready(self, place, image):
        with engines.Podman(place / "podman") as podman:
            podman.call("images", "-q")  # makes its store
            yield Command(podman.argv("pull", "-q", "--tls-verify=false", image), podman.env)


class Containerd2(Puller):
    """Built from source once: see lib/go_engines.py."""

    def __init__(self):
        super().__init__("containerd 2, ctr image pull")
        try:
            self.programs = go_engines.programs()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.absent = reason(error)

    @contextlib.contextmanager
    def ready(self, place, image):
        with engines.Containerd(place / "containerd", self.programs) as daemon:
            words = daemon.argv("image", "pull", "--plain-http", "--snapshotter", "overlayfs", image)
            yield Command(words, engines.environment(place), [daemon.service.pid])


class Docker(Puller):
    def __init__(self):
        super().__init__("docker pull", [engines.DOCKERD, engines.DOCKER])

    @contextlib.contextmanager
    def ready(self, place, image):
        with engines.Dockerd(place / "docker") as daemon:
            yield Command([engines.DOCKER, "pull", "-q", image], daemon.env, [daemon.service.pid])


class Skopeo(Puller):
    """To an OCI directory; with umoci also to a tree."""

    def __init__(self, unpack):
        super().__init__("skopeo copy, umoci unpack" if unpack else BYTES, ["skopeo", *(["umoci"] if unpack else [])])
        self.script = 'skopeo copy -q --src-tls-verify=false "docker://$1" "oci:$2/oci:latest"'
        self.script += ' && umoci unpack --image "$2/oci:latest" "$2/bundle"' if unpack else ""

    @contextlib.contextmanager
    def ready(self, place, image):
        yield Command(["sh", "-c", self.script, "sh", image, place], engines.environment(place))


def pullers(rig, wanted=None):
    """All, in the order of the table; WANTED: words of the names of those peers that are measured."""
    makers = [("podman", Podman), ("containerd", Containerd2), ("umoci", lambda: Skopeo(True)), ("docker", Docker),
              ("skopeo", lambda: Skopeo(False))]
    found = [Cloister(rig)]
    for word, make in makers:
        if wanted is None or word in wanted:
            found.append(make())
    return found


PEERS = ["podman", "containerd", "umoci", "docker", "skopeo"]


# ---- cold pulls ----

class ColdPulls:
    """Rounds of pulls of one image, each into a store of its own, in another order each round."""

    def __init__(self, images, peers=None, variant="four"):
        self.images, self.image = images, images.name(variant)
        self.top = images.spread("cold")
        self.registry_pid = images.registry.pid
        self.pullers = pullers(images.rig, peers)
        self.runs = {puller.name: [] for puller in self.pullers}
        self.peaks = {}

    def one(self, puller, sample=False, options=(), lines=False):
        """A Run, with the registry's CPU time and what syncing takes afterwards."""
        place = Path(tempfile.mkdtemp(dir=self.top))
        try:
            with puller.ready(place, self.image, *options) as command:
                images_run.settle(place)
                images_run.warm_memory()
                served = images_run.cpu_of([self.registry_pid])
                run = images_run.run(command, self.images.out / "log", sample, lines)
                run.registry_cpu_s = images_run.cpu_of([self.registry_pid]) - served
                run.settle_s = images_run.settle(place)
        finally:
            self.images.give_up(place)
        return run

    def present(self):
        return [puller for puller in self.pullers if not puller.absent]

    def try_each(self):
        """The first pull of each, which fills caches; who can't is absent."""
        for puller in self.present():
            try:
                run = self.one(puller)
                puller.absent = "" if run.status == 0 else f"exit {run.status}: {run.error}"
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                puller.absent = reason(error)

    def measure(self, rounds):
        self.try_each()
        for number in range(rounds):
            order = self.present()
            random.Random(number).shuffle(order)
            for puller in order:
                self.runs[puller.name].append(self.one(puller))
        for puller in self.present():
            turns = [self.one(puller, sample=True) for _ in range(MEMORY_TURNS if puller.name == OURS else 1)]
            best = max(turns, key=lambda run: run.peak_kib)
            self.peaks[puller.name] = {"peak_kib": best.peak_kib, "samples": best.samples}

    def rows(self):
        return {puller.name: {**summary(self.runs[puller.name]), **self.peaks[puller.name]} for puller in self.present()}

    def absent(self):
        found = {puller.name: puller.absent for puller in self.pullers if puller.absent}
        names = {puller.name for puller in self.pullers}
        return {**found, **{name: "not asked for (--peers)" for name in ALL_NAMES if name not in names}}


ALL_NAMES = ["podman pull", "containerd 2, ctr image pull", "skopeo copy, umoci unpack", "docker pull", BYTES]


def summary(runs):
    """Medians of those that succeeded."""
    good = [run for run in runs if run.status == 0]
    if not good:
        raise BenchError(f"no pull succeeded: {runs[-1].error if runs else 'there was none'}")
    walls = sorted(run.wall_s for run in good)
    middle = {field: statistics.median(getattr(run, field) for run in good)
              for field in ("wall_s", "cpu_s", "registry_cpu_s", "settle_s")}
    return {**middle, "min_s": walls[0], "max_s": walls[-1], "count": len(good), "failures": len(runs) - len(good)}


def pulls(images, rounds, peers=None):
    cold = ColdPulls(images, peers)
    cold.measure(rounds)
    return {"image": images.size_of(), "rows": cold.rows(), "absent": cold.absent()}


# ---- one layer ----

def parse_floor(line):
    """What floor_inflate printed."""
    fields = line.rstrip("\n").split("\t")
    if len(fields) != len(FLOOR_FIELDS) + 2:
        raise BenchError(f"floor_inflate printed {line[:200]!r}")
    return {**dict(zip(FLOOR_FIELDS, map(int, fields))), "blob": fields[-2], "plain": fields[-1]}


def floor_once(program, layer, path):
    cpu = max(os.sched_getaffinity(0))
    done = subprocess.run([str(program), str(cpu), str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip() or "floor_inflate failed")
    found = parse_floor(done.stdout)
    if (found["blob"], found["plain"]) != (layer.blob.digest, layer.diff_id):
        raise BenchError("floor_inflate found other digests than the layer has")
    return found


def unpacked_at(lines):
    """Seconds until the last layer was done, from the events of `cloister pull --format json`."""
    last = None
    for at, line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("state") == "done":
            last = at
    if last is None:
        raise BenchError("cloister pull --format json told of no layer that was done")
    return last


def layer(images, rounds):
    """Throughput of one layer of gzip, against inflate and SHA-256 on one core."""
    cold = ColdPulls(images, [], "one")
    puller, = cold.pullers
    if puller.absent:
        raise BenchError(puller.absent)
    program = build_floor_inflate(images.rig.out)
    the_layer, = images.image("one").image.layers
    path = images.registry.blob_path(the_layer.blob.digest)
    floors, ours, unpacked = [], [], []
    for number in range(rounds + 1):
        floor = floor_once(program, the_layer, path)
        run = cold.one(puller, options=["--format", "json"], lines=True)
        if run.status != 0:
            raise BenchError(f"cloister pull: exit {run.status}: {run.error}")
        if number > 0:  # the first fills caches
            floors.append(floor)
            ours.append(run)
            unpacked.append(unpacked_at(run.lines))
    return layer_result(floors, ours, unpacked)


def layer_result(floors, ours, unpacked):
    middle = {name: statistics.median(floor[name] for floor in floors) for name in FLOOR_FIELDS}
    seconds = {"floor": middle["wall_ns"] / 1e9, "unpacked": statistics.median(unpacked),
               "ready": statistics.median(run.wall_s for run in ours)}
    return {"floor": middle, "seconds": seconds, "count": len(ours), "plain_bytes": floors[0]["plain_bytes"],
            "compressed_bytes": floors[0]["compressed_bytes"], "cpu_s": statistics.median(run.cpu_s for run in ours),
            "mb_per_s": {name: floors[0]["plain_bytes"] / 1e6 / value for name, value in seconds.items()},
            "ratio": seconds["floor"] / seconds["unpacked"], "ratio_ready": seconds["floor"] / seconds["ready"]}


# ---- warm pulls ----

def pull_warm(images, rounds):
    """Pulls of an image whose layers are there, by the same tag."""
    name = images.pulled()
    rows = [Competitor("harness", [str(images.rig.out / "nothing")]),
            Competitor("cloister pull, layers there", [images.cloister, "pull", "--quiet", name])]
    with environment(CLOISTER_STORE=images.store):
        return measure.starts(images.rig, rows, rounds)
