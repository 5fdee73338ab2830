"""Starts of images that are there: against a directory of the same tree, against bwrap, and what finding them costs."""

import os
import shutil
import subprocess

import measure
from images import build_resolve, environment
from rig import BenchError, Competitor, probe

TEN, ONE, DIRECTORY, BWRAP = "image of ten layers", "image of one layer", "rootfs: of the same tree", "bwrap, the same tree"
COMMAND = "/bin/true"
RESOLVES = 20000


def rows_of(images, ten, one, tree):
    run = [images.cloister, "run"]
    bwrap = shutil.which("bwrap")
    rows = [
        Competitor("harness", [str(images.rig.out / "nothing")]),
        Competitor(TEN, [*run, ten, COMMAND]),
        Competitor(DIRECTORY, [*run, f"rootfs:{tree}", COMMAND]),
        Competitor(ONE, [*run, one, COMMAND]),
        Competitor(BWRAP, absent="bwrap is not installed") if bwrap is None else
        Competitor(BWRAP, [bwrap, "--unshare-all", "--bind", str(tree), "/", "--proc", "/proc", "--dev", "/dev", COMMAND]),
    ]
    for row in rows:
        probe(row)
    return rows


def tree_of_one(images):
    """The image of one layer, and its tree: the layer that came with it."""
    before = set(images.layer_trees()) if images.store.exists() else set()
    name = images.pulled("one")
    new = [path for path in images.layer_trees() if path not in before]
    if len(new) != 1:
        raise BenchError(f"the image of one layer brought {len(new)}")
    return name, new[0]


def resolve(images, name):
    """Median and the like of what finding an image takes `run`, in microseconds."""
    program = build_resolve(images.rig.out)
    done = subprocess.run([str(program), name, str(RESOLVES)], capture_output=True, text=True, env=os.environ)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip() or "images_resolve failed")
    return measure.summary([int(line) / 1000 for line in done.stdout.split()][100:])  # the first fill caches


def starts(images, rounds):
    one, tree = tree_of_one(images)
    ten = images.pulled("ten")
    with environment(CLOISTER_STORE=images.store):
        rows = rows_of(images, ten, one, tree)
        found = {"rows": measure.starts(images.rig, rows, rounds), "absent": {row.name: row.absent for row in rows if row.absent}}
        try:
            found["resolve"] = resolve(images, ten)
        except BenchError as error:
            found["absent"]["resolving an image"] = str(error)
    return found
