"""Attacks on an OCI runtime by the root file system: links and fakes at each place where it mounts, and swapping
them meanwhile. That these work on who is careless: test_escape_links.py."""

import os
import time

import pytest

import engine
import wall
from lib.patience import patience
from test_escape_links import KINDS, MARKER, Swapper, _replace, _untouched

FRONTS = pytest.mark.parametrize('name', ['docker', 'remap', 'podman'])
# Every destination of Docker's own that lies in the root, and those of volumes: a directory, a file, and below what is swapped.
PLACES = ['proc', 'sys', 'dev', 'vol', 'etc/resolv.conf', 'var/tmp/deep']


@pytest.fixture
def front(name, make_runtime, own_tree):
    """Of a tree of the test's own, with volumes; what it runs looks for the host's marker."""
    made = engine.Front(name, make_runtime(engine.FRONTS[name][0]), own_tree)
    (own_tree / 'etc/resolv.conf').write_text('')
    (own_tree / 'var/tmp/deep').mkdir()
    made.give(own_tree, *own_tree.rglob('*'))
    return made


def look(front, *attack):
    volume = front.runtime.directory('volume')
    file = volume / 'file'
    file.write_text('nameserver 192.0.2.1\n')
    front.give(volume)

    def change(bundle):
        bundle.mount('/vol/inner', volume, 'rbind', 'rprivate', 'rw').mount('/etc/resolv.conf', file, 'bind', 'rprivate')
        bundle.mount('/var/tmp/deep', 'tmpfs', 'mode=755').mount('/vol/inner/below', 'tmpfs', 'mode=755')
        bundle.process['cwd'] = '/home'
    return front.attack(*attack, change=change)


def held_or_refused(outcome):
    """What can't be mounted on is refused, with one line; else the attack has to be held."""
    if outcome.verdicts:
        wall.held(outcome)
    else:
        assert outcome.code == 1 and outcome.err.startswith('cloister-oci: ') and outcome.err.count('\n') == 1, outcome


@FRONTS
@pytest.mark.parametrize('place', PLACES)
def test_mounts_go_nowhere_else(front, outside, place):
    tree = front.tree
    for kind in KINDS:
        if (tree / place).is_symlink() or not (tree / place).is_dir():
            (tree / place).unlink()
        _replace(tree / place, kind, outside)
        before, mounts = wall.snapshot(outside), wall.host_mounts()
        for attack in (['real_proc'], ['find_marker', MARKER]):
            if attack != ['real_proc'] or place == 'proc':
                held_or_refused(look(front, 'fake_proc', *attack))
        _untouched(outside, before)
        assert wall.host_mounts() == mounts


@FRONTS
@pytest.mark.parametrize('places', [['proc'], ['sys', 'dev'], ['vol'], ['etc'], ['var'], ['home'], ['proc', 'sys', 'dev', 'vol', 'var', 'home']],
                         ids='-'.join)
def test_places_that_are_swapped_meanwhile_lead_nowhere(front, outside, places):
    """One moment a directory, the next a link to the host's; also the working directory."""
    pairs = []
    for place in places:
        link = front.tree / f'{place}-link'
        link.symlink_to('../' * 20 + str(outside).lstrip('/') if place != 'home' else '/proc/self/fd/3')
        pairs.append((front.tree / place, link))
    before, mounts, outcomes = wall.snapshot(outside), wall.host_mounts(), []
    began, ran = time.monotonic(), 0
    with Swapper(pairs) as swapper:
        while len(outcomes) < 40 and time.monotonic() < began + 1 or ran == 0 and time.monotonic() < began + patience(30):
            outcomes.append(look(front, 'fake_proc', 'find_marker', MARKER))
            ran += bool(outcomes[-1].verdicts)
    assert swapper.rounds > len(outcomes)
    _untouched(outside, before)
    assert wall.host_mounts() == mounts
    for outcome in outcomes:
        held_or_refused(outcome)
    assert 0 < ran, f'nothing ever ran: {outcomes[0]}'


@FRONTS
def test_exec_into_a_directory_that_is_swapped_meanwhile_stays_inside(front):
    """CVE-2024-21626 by a race: with a link to each descriptor that the runtime may still have."""
    bundle = front.bundle('/bin/busybox', 'sleep', '1000')
    container = front.runtime.started(bundle)
    outcomes = []
    for number in range(3, 12):
        link = front.tree / f'home-{number}'
        link.symlink_to(f'/proc/self/fd/{number}')
        with Swapper([(front.tree / 'home', link)]):
            for _ in range(4):
                outcomes.append(engine.judged(container.exec('/attack/leaks', 'working_directory', opts=('--cwd', '/home'))))
        if (front.tree / 'home').is_symlink():
            os.rename(front.tree / 'home', front.tree / 'moved')
            os.rename(link, front.tree / 'home')
    for outcome in outcomes:
        held_or_refused(outcome)
    assert any(outcome.verdicts for outcome in outcomes), f'nothing ever ran: {outcomes[0]}'
