"""Builds the attacks once, makes the trees they run in, removes what the tests made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import wall  # noqa: E402  (found through the path above)


@pytest.fixture(scope='session', autouse=True)
def programs():
    """The attack programs, compiled into build/escape; they and cloister are used as copies where the
    ordinary user reaches them and no test mounts anything over them, wherever the project lies."""
    if os.geteuid() != 0:
        pytest.fail('the escape tests run as root, and through it as an ordinary user')
    done = subprocess.run(['make', '-s', '-C', HERE, f'OUT={wall.BUILT}'], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    wall.user()
    place = wall.scratch('escape-programs-')
    wall.use_copies(place)
    yield wall.BUILT
    shutil.rmtree(place)


@pytest.fixture(scope='session')
def root_tree(programs):
    """A tree that root owns, for attacks that leave it as it is."""
    root = wall.tree()
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope='session')
def user_tree(programs):
    """The same tree, owned by the ordinary user who runs it."""
    root = wall.tree(owner=wall.user())
    yield root
    shutil.rmtree(root)


@pytest.fixture
def own_tree(programs):
    """A tree for one test, to be prepared by it."""
    root = wall.tree()
    yield root
    shutil.rmtree(root)


@pytest.fixture
def outside(programs):
    """A directory of the host with a marker in it that nobody inside may see or change."""
    path = wall.scratch('escape-outside-')
    (path / 'host-marker-4711').write_text('the host\n')
    yield path
    shutil.rmtree(path)


@pytest.fixture
def image(root_tree, user_tree):
    """The tree to attack from: image(who)."""
    return lambda who: wall.image(root_tree if who == 'root' else user_tree)
