"""Attacks by the image's tree itself: links and fakes where mounts go, and swapping them meanwhile."""

import ctypes
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import wall

each_wall = wall.each_wall

MARKER = 'host-marker-4711'


def _replace(path, kind, outside):
    """Puts something hostile where the wall will want to mount."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    if kind == 'absolute':
        path.symlink_to(outside)
    elif kind == 'dotdot':
        path.symlink_to('../' * 20 + str(outside).lstrip('/'))
    elif kind == 'missing':
        path.symlink_to(outside / 'made-by-cloister')
    elif kind == 'loop':
        path.symlink_to(path.name)
    elif kind == 'proc-root':
        path.symlink_to(f'/proc/1/root{outside}')
    elif kind == 'proc-cwd':
        path.symlink_to('/proc/self/cwd')
    elif kind == 'file':
        path.write_text('a file\n')
    elif kind == 'fifo':
        os.mkfifo(path, 0o666)
    elif kind == 'device':
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    elif kind == 'crafted':
        (path / 'self/fd').mkdir(parents=True)
        (path / 'sys/kernel').mkdir(parents=True)
        for name in ('crafted', 'self/exe', 'self/uid_map', 'self/attr', 'sys/kernel/core_pattern'):
            (path / name).write_text('crafted\n')
        (path / 'kcore').symlink_to(outside / MARKER)
        (path / 'keys').symlink_to('../' * 20 + str(outside / MARKER).lstrip('/'))
        (path / 'self/fd/0').symlink_to(outside / MARKER)
    else:
        raise AssertionError(kind)


def _untouched(outside, before):
    assert wall.snapshot(outside) == before, 'a directory of the host was changed'


def _refused_or(check, outcome):
    """A tree that can't be mounted on may be refused, with one line; else the check must hold."""
    if outcome.code == 125 and not outcome.verdicts:
        assert outcome.err.startswith('cloister: ') and outcome.err.count('\n') == 1, outcome
        return
    check(outcome)


KINDS = ['absolute', 'dotdot', 'missing', 'loop', 'proc-root', 'proc-cwd', 'file', 'fifo', 'device',
         'crafted']
TARGETS = ['proc', 'sys', 'dev', 'tmp', 'etc', 'var/tmp', 'run']


@each_wall
@pytest.mark.parametrize('kind', KINDS)
def test_fake_proc_is_not_believed(own_tree, outside, who, profile, kind):
    _replace(own_tree / 'proc', kind, outside)
    before, mounts, tree = wall.snapshot(outside), wall.host_mounts(), wall.snapshot(own_tree)
    outcome = wall.attack('fake_proc', 'real_proc', image=wall.image(own_tree), who=who,
                          profile=profile)
    _untouched(outside, before)
    assert wall.host_mounts() == mounts
    assert wall.snapshot(own_tree) == tree
    _refused_or(wall.held, outcome)


@pytest.mark.parametrize('kind', ['crafted', 'absolute'])
def test_fake_proc_is_believed_in_a_mere_chroot(own_tree, outside, kind):
    _replace(own_tree / 'proc', kind, own_tree / 'open')
    if kind == 'absolute':
        (own_tree / 'proc').unlink()
        (own_tree / 'proc').symlink_to('/open')
    wall.escaped(wall.chrooted(own_tree, 'fake_proc', 'real_proc'))


@each_wall
@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('kind', KINDS)
def test_mount_goes_nowhere_else(own_tree, outside, who, profile, target, kind):
    _replace(own_tree / target, kind, outside)
    before, mounts, tree = wall.snapshot(outside), wall.host_mounts(), wall.snapshot(own_tree)
    outcome = wall.attack('fake_proc', 'find_marker', MARKER, image=wall.image(own_tree), who=who,
                          profile=profile)
    _untouched(outside, before)
    assert wall.host_mounts() == mounts
    assert wall.snapshot(own_tree) == tree, 'the image was changed'
    _refused_or(wall.held, outcome)


@each_wall
@pytest.mark.parametrize('option', ['volume-ro', 'volume-copy', 'tmpfs', 'workdir'])
@pytest.mark.parametrize('kind', ['absolute', 'dotdot', 'missing', 'loop', 'proc-root', 'proc-cwd',
                                  'file', 'fifo'])
def test_destination_through_a_link_stays_inside(own_tree, outside, who, profile, option, kind):
    _replace(own_tree / 'vol', kind, outside)
    source = wall.scratch('escape-source-')
    options = {'volume-ro': ['-v', f'{source}:/vol:ro'], 'volume-copy': ['-v', f'{source}:/vol:copy'],
               'tmpfs': ['--tmpfs', '/vol/deeper'], 'workdir': ['-w', '/vol']}[option]
    before, mounts = wall.snapshot(outside), wall.host_mounts()
    try:
        outcome = wall.attack('fake_proc', 'find_marker', MARKER, image=wall.image(own_tree), who=who,
                              profile=profile, extra=options)
    finally:
        shutil.rmtree(source)
    _untouched(outside, before)
    assert wall.host_mounts() == mounts
    if outcome.code in (126, 127):  # a working directory that is not there
        assert not outcome.verdicts, outcome
        return
    _refused_or(wall.held, outcome)


def test_source_link_of_an_image_is_the_callers_to_follow(image, outside):
    """A volume's source is named by the caller: a link there is followed once, before anything runs;
    links inside the volume lead nowhere."""
    (outside / 'up').symlink_to('/')
    (outside / 'deep').symlink_to('../' * 20 + str(outside).lstrip('/'))
    for inner in ('/vol/up/lib/modules', f'/vol/up{outside}', f'/vol/deep/{MARKER}'):
        outcome = wall.attack('open_path', 'read', inner, image=image('root'),
                              extra=['-v', f'{outside}:/vol:ro'])
        wall.held(outcome)


def test_careless_mount_follows_the_link(own_tree, outside):
    """What the tests above would see: a mount point made, and a host directory shown, by a link."""
    _replace(own_tree / 'vol', 'missing', outside)
    before = wall.snapshot(outside)
    subprocess.run(['mkdir', '-p', f'{os.readlink(own_tree / "vol")}'], check=True)
    with pytest.raises(AssertionError):
        _untouched(outside, before)
    _replace(own_tree / 'vol', 'absolute', outside)
    script = f'mount --bind {outside} {own_tree}/open && exec "$0" "$@"'
    wall.escaped(wall.chrooted(own_tree, 'fake_proc', 'find_marker', MARKER,
                               before=['unshare', '-m', 'sh', '-c', script]))


# Hard links and the entry point --------------------------------------------------------------

@each_wall
@pytest.mark.parametrize('line', ['#!/proc/self/exe', '#!/proc/1/exe', '#!/proc/self/fd/3',
                                  '#!/proc/self/exe run host -- /bin/true'])
def test_entry_point_that_is_cloister_itself(own_tree, who, profile, line):
    """`#!/proc/self/exe` makes the runtime start itself inside: it must gain nothing by that, and the
    file on the host must stay what it is (CVE-2019-5736)."""
    binary = wall.CLOISTER
    before = (os.stat(binary).st_mtime_ns, os.stat(binary).st_size, open(binary, 'rb').read())
    (own_tree / 'entry').write_text(line + '\n')
    (own_tree / 'entry').chmod(0o755)
    outcome = wall.run([*wall.options(who, (), profile), wall.image(own_tree), '--', '/entry'],
                       as_user=None if who == 'root' else wall.USER)
    assert (os.stat(binary).st_mtime_ns, os.stat(binary).st_size, open(binary, 'rb').read()) == before
    assert outcome.code != 0, outcome


@pytest.fixture
def own_runtime(own_tree):
    """own_runtime(program, who, *more): a copy of a runtime in WHO's home and WHO's tree, whose entry
    starts the runtime again and which holds the attack in place of its loader (self_exe.c)."""
    homes = []

    def prepare(program, who, *more):
        account = wall.user() if who == 'user' else pwd.getpwuid(0)
        homes.append(Path(tempfile.mkdtemp(prefix='escape-', dir=account.pw_dir)))
        for source in (program, *more):
            shutil.copy(source, homes[-1])
        loader = re.search(rb'/lib[\w./-]*/ld-[\w.-]+', Path('/usr/sbin/chroot').read_bytes())[0].decode()
        place = own_tree / loader.lstrip('/')
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wall.BUILT / 'self_exe', place)
        (own_tree / 'entry').write_text('#!/proc/self/exe start\n')
        (own_tree / 'entry').chmod(0o755)
        for path in (own_tree, *own_tree.rglob('*'), homes[-1], *homes[-1].iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        return homes[-1] / Path(program).name

    yield prepare
    for home in homes:
        shutil.rmtree(home)


@each_wall
def test_runtime_is_not_overwritten(own_tree, own_runtime, who, profile):
    binary = own_runtime(wall.CLOISTER, who, Path(wall.CLOISTER).with_name('cloister-plan'))
    before, seen = binary.read_bytes(), os.stat(binary)
    argv = wall._as(who, [binary, 'run', *wall.options(who, (), profile), wall.image(own_tree), '--', '/entry'])
    outcome = wall._finish(argv, *wall._spawn(argv, timeout=30))
    assert binary.read_bytes() == before and os.stat(binary).st_ctime_ns == seen.st_ctime_ns, outcome
    assert outcome.code != 0 and outcome.verdict in (None, 'HELD'), outcome


@pytest.mark.parametrize('who', ['root', 'user'])
def test_unprotected_runtime_is_overwritten(own_tree, own_runtime, who):
    """chroot as a runtime: dynamically linked, its file its user's, who is root inside."""
    binary = own_runtime('/usr/sbin/chroot', who)
    before = binary.read_bytes()
    script = f'mount -t proc proc {own_tree}/proc && exec {binary} {own_tree} /entry'
    argv = wall._as(who, ['unshare', '-Urpfm', 'sh', '-c', script])
    outcome = wall._finish(argv, *wall._spawn(argv, timeout=30))
    wall.escaped(outcome)
    assert binary.read_bytes() == before + b'written from inside', outcome


@pytest.mark.parametrize('without', [(), ('landlock',)], ids=['every-layer', 'without-landlock'])
def test_cloister_is_not_started_inside_with_a_helper_of_the_image(own_tree, without):
    """The whole of CVE-2019-5736 for a binary that is the user's own: the entry's interpreter is
    cloister, the entry's name an option of it that wants the helper, and the helper's place in the
    image holds the attacker's program. That runs beside a process whose executable is the host's file."""
    home = Path(tempfile.mkdtemp(prefix='escape-', dir=wall.user().pw_dir))
    binary = home / 'cloister'
    try:
        shutil.copy(wall.CLOISTER, binary)
        shutil.copy(Path(wall.CLOISTER).with_name('cloister-plan'), home)
        (own_tree / 'work/--policy=.').mkdir(parents=True)
        entry, policy = own_tree / 'work/--policy=./p', own_tree / 'work/p'
        entry.write_text('#!/proc/self/exe run\n')
        policy.write_text('wall: container\n')
        helper = own_tree / str(home).lstrip('/') / 'cloister-plan'
        helper.parent.mkdir(parents=True)
        helper.write_text('#!/bin/sh\n/bin/busybox chmod 0777 /proc/$PPID/exe\n')
        for path in (entry, helper):
            path.chmod(0o755)
        for path in (own_tree, *own_tree.rglob('*'), home, *home.iterdir()):
            os.chown(path, wall.user().pw_uid, wall.user().pw_gid, follow_symlinks=False)
        before = os.stat(binary)
        argv = wall._as('user', [binary, 'run', *wall.options('user', without), '-w', '/work', '-e',
                                 'XDG_RUNTIME_DIR=/tmp', wall.image(own_tree), '--', '--policy=./p',
                                 'host', 'true'])
        outcome = wall._finish(argv, *wall._spawn(argv, timeout=30))
        after = os.stat(binary)
        assert outcome.code != 0, outcome
        assert (after.st_mode, after.st_ctime_ns) == (before.st_mode, before.st_ctime_ns), outcome
    finally:
        shutil.rmtree(home)


# From a script: every process whose program's file it can reach and is not its own, or can write to.
BESIDE = ('own=$(stat -L -c %d:%i /proc/$$/exe); for p in /proc/[0-9]*; do '
          'file=$(stat -L -c %d:%i $p/exe 2>/dev/null) && [ "$file" != "$own" ] && echo "SEEN $p"; '
          '(echo x >>$p/exe) 2>/dev/null && echo "WRITTEN $p"; done; echo done')


@each_wall
def test_running_program_cannot_reach_cloisters_file(own_tree, own_runtime, who, profile):
    binary = own_runtime(wall.CLOISTER, who, Path(wall.CLOISTER).with_name('cloister-plan'))
    before, seen = binary.read_bytes(), os.stat(binary)
    argv = wall._as(who, [binary, 'run', *wall.options(who, (), profile), wall.image(own_tree), '--', '/bin/sh', '-c',
                          BESIDE])
    outcome = wall._finish(argv, *wall._spawn(argv, timeout=30))
    assert outcome.code == 0 and outcome.out == 'done\n', outcome
    assert binary.read_bytes() == before and os.stat(binary).st_ctime_ns == seen.st_ctime_ns, outcome


@pytest.mark.parametrize('who', ['root', 'user'])
def test_running_program_reaches_cloisters_file_without_the_layers(image, who):
    """It opens for reading. To write there takes its owner, who isn't inside, or for a user's own a seal."""
    off = ['dumpable', 'capabilities', 'securebits', 'seccomp', 'landlock']
    outcome = wall.run([*wall.options(who, off, 'build'), image(who), '--', '/bin/sh', '-c', BESIDE], weak=True,
                       as_user=None if who == 'root' else wall.USER)
    assert outcome.code == 0 and outcome.out == 'SEEN /proc/1\ndone\n', outcome


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('kind', ['fifo', 'absolute', 'device', 'dotdot'])
@pytest.mark.parametrize('name', ['passwd', 'group', 'hosts', 'resolv.conf', 'hostname'])
def test_identity_files_are_not_followed_out(own_tree, outside, who, kind, name):
    """/etc/passwd as a FIFO must not hang the start, as a link must not show or change the host's."""
    path = own_tree / 'etc' / name
    if kind in ('absolute', 'dotdot'):
        _replace(path, kind, outside / MARKER)
    else:
        _replace(path, kind, outside)
    before = wall.snapshot(outside)
    outcome = wall.attack('open_path', 'seen', str(outside / MARKER), image=wall.image(own_tree),
                          who=who, timeout=20)
    _untouched(outside, before)
    _refused_or(wall.held, outcome)


# Races: the tree is swapped under our hands --------------------------------------------------

def _exchange(one, other):
    """renameat2(RENAME_EXCHANGE): one moment a directory, the next a link."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)


class Swapper(threading.Thread):
    """Swaps pairs of names until told to stop."""

    def __init__(self, pairs):
        super().__init__(daemon=True)
        self.pairs, self.rounds, self.ended = pairs, 0, threading.Event()

    def run(self):
        while not self.ended.is_set():
            for one, other in self.pairs:
                _exchange(one, other)
            self.rounds += 1
            time.sleep(0)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.ended.set()
        self.join()


@each_wall
@pytest.mark.parametrize('targets', [['vol'], ['proc', 'dev', 'tmp', 'sys'], ['etc'], ['var']],
                         ids='-'.join)
def test_swapped_mount_points_lead_nowhere(own_tree, outside, who, profile, targets):
    pairs = []
    for name in targets:
        link = own_tree / f'{name}-link'
        link.symlink_to('../' * 20 + str(outside).lstrip('/'))
        pairs.append((own_tree / name, link))
    before, mounts = wall.snapshot(outside), wall.host_mounts()
    source = wall.scratch('escape-source-')
    outcomes = []
    end = time.monotonic() + 4
    try:
        with Swapper(pairs) as swapper:
            while len(outcomes) < 60 and time.monotonic() < end:
                outcomes.append(wall.attack(
                    'fake_proc', 'find_marker', MARKER, image=wall.image(own_tree), who=who,
                    profile=profile,
                    extra=['-v', f'{source}:/vol/inner:ro', '--tmpfs', '/var/scratch']))
        assert swapper.rounds > len(outcomes)
    finally:
        shutil.rmtree(source)
    _untouched(outside, before)
    assert wall.host_mounts() == mounts
    for outcome in outcomes:
        if outcome.code in (126, 127):  # the command itself was under a swapped name
            continue
        _refused_or(wall.held, outcome)


def test_swapping_fools_a_careless_mount(own_tree, outside):
    """Check then use: the race is real on this machine."""
    link = own_tree / 'vol-link'
    link.symlink_to(outside)
    target = own_tree / 'vol'
    end = time.monotonic() + 20
    number = 0
    with Swapper([(target, link)]):
        while time.monotonic() < end and len(os.listdir(outside)) == 1:
            number += 1
            if not target.is_symlink():
                (target / f'inner-{number}').mkdir()
    assert len(os.listdir(outside)) > 1, 'the swap never hit: the races above prove nothing'


# What a sandbox leaves in a volume for the next run of its caller to step on ------------------

@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('planted,path', [('result.json', 'result.json'),
                                          ('out', f'out/{MARKER}')], ids=['file', 'directory'])
def test_result_is_not_written_through_a_planted_link(image, outside, who, planted, path):
    """A judge's directory: rw for the program, and the record is kept there. The first run plants a
    link to a file of the caller's; the second must not write through it."""
    volume = wall.scratch('escape-volume-')
    marker = outside / MARKER
    for place in (volume, *([outside, marker] if who == 'user' else [])):
        os.chown(place, wall.user().pw_uid, wall.user().pw_gid)
    target = marker if planted == path else outside
    as_user = None if who == 'root' else wall.USER
    try:
        first = wall.run([*wall.options(who), '-v', f'{volume}:/vol:rw', image(who), '--', '/bin/busybox',
                          'ln', '-s', target, f'/vol/{planted}'], as_user=as_user)
        assert first.code == 0 and (volume / planted).is_symlink(), first
        argv = wall._as(who, [wall.CLOISTER, 'run', *wall.options(who), '--result', volume / path,
                              '-v', f'{volume}:/vol:rw', image(who), '--', '/bin/true'])
        code, _, err = wall._spawn(argv, timeout=30)
        assert marker.read_text() == 'the host\n', (code, err)
    finally:
        shutil.rmtree(volume)


@pytest.mark.parametrize('who', ['root', 'user'])
def test_result_is_not_moved_by_a_running_sandbox(image, outside, who):
    """The record's file is opened before anything runs: what is put in its place meanwhile is not it."""
    volume = wall.scratch('escape-volume-')
    os.chown(volume, wall.user().pw_uid, wall.user().pw_gid)
    marker = outside / MARKER
    try:
        argv = wall._as(who, [wall.CLOISTER, 'run', *wall.options(who), '--result', volume / 'result.json',
                              '-v', f'{volume}:/vol:rw', image(who), '--', '/bin/sh', '-c',
                              f'/bin/busybox mkdir /vol/new; /bin/busybox ln -s {marker} /vol/new/x; '
                              '/bin/busybox mv -f /vol/new/x /vol/result.json'])
        code, _, err = wall._spawn(argv, timeout=30)
        assert marker.read_text() == 'the host\n', (code, err)
    finally:
        shutil.rmtree(volume)


# Another user of the host bends the path by which root names a volume or an image --------------

@pytest.fixture
def theirs(programs):
    """A directory of the ordinary user's, with a tree of theirs in it that root is to work on."""
    path = wall.scratch('escape-theirs-')
    wall.tree(path / 'tree')
    for entry in [path, *path.rglob('*')]:
        os.chown(entry, wall.user().pw_uid, wall.user().pw_gid, follow_symlinks=False)
    yield path
    shutil.rmtree(path)


def _bend(link, target, owner=None):
    link.symlink_to(target)
    owner = owner or wall.user()
    os.chown(link, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def _through(path, image, as_image):
    """Root names PATH, as the image or as a volume, and the program looks for the marker."""
    if as_image:
        return wall.attack('fake_proc', 'find_marker', MARKER, image=wall.image(path), timeout=20)
    return wall.attack('fake_proc', 'find_marker', MARKER, image=image('root'), timeout=20,
                       extra=['-v', f'{path}:/vol:ro'])


@pytest.mark.parametrize('as_image', [False, True], ids=['volume', 'image'])
@pytest.mark.parametrize('where', ['last', 'on-the-way', 'sticky', 'relative'])
def test_source_behind_a_strangers_link_is_refused(theirs, image, outside, own_tree, as_image, where):
    """Root's cloister must not show what only root may hand out, because a stranger's link says so; the
    same link, were it root's, would show it."""
    target = own_tree if as_image else outside
    (target / MARKER).write_text('the host\n')
    path = link = theirs / 'link'
    if where == 'sticky':
        path = link = Path(tempfile.gettempdir()) / f'escape-link-{os.getpid()}'
    if where == 'on-the-way':
        _bend(link, target.parent)
        path = link / target.name
    else:
        _bend(link, target if where != 'relative' else f'../{target.name}')
    try:
        outcome = _through(path, image, as_image)
        assert outcome.code == 125 and not outcome.verdicts, outcome
        assert outcome.err.count('\n') == 1 and f'the symbolic link {link} of uid' in outcome.err, outcome
        os.chown(link, 0, 0, follow_symlinks=False)
        wall.escaped(_through(path, image, as_image))
    finally:
        link.unlink()


@pytest.mark.parametrize('option,text', [('--env-file', 'SECRET=of-root\n'), ('--policy', 'env: {SECRET: of-root}\n'),
                                         ('--seccomp', '{"defaultAction": "SCMP_ACT_ALLOW"}\n')])
def test_file_behind_a_strangers_link_is_refused(theirs, image, outside, option, text):
    """What only root may read must not come in because a stranger's link, in a checkout of theirs, says so."""
    secret, link = outside / 'secret', theirs / 'link'
    secret.write_text(text)
    secret.chmod(0o600)
    _bend(link, secret)
    line = [*wall.options('root', extra=[option, link]), image('root'), '--', '/bin/sh', '-c', 'echo "got $SECRET"']
    outcome = wall.run(line)
    assert outcome.code == 125 and 'got' not in outcome.out, outcome
    assert f'the symbolic link {link} of uid' in outcome.err, outcome
    os.chown(link, 0, 0, follow_symlinks=False)
    outcome = wall.run(line)
    assert outcome.code == 0 and outcome.out == ('got \n' if option == '--seccomp' else 'got of-root\n'), outcome


def test_source_of_sudos_user_is_theirs_to_link(theirs, image, outside):
    """Under sudo the user's own links are the caller's, and others' are not."""
    (theirs / 'link').symlink_to(outside)
    os.chown(theirs / 'link', wall.user().pw_uid, wall.user().pw_gid, follow_symlinks=False)
    uid = wall.user().pw_uid
    for sudo_uid, follows in ((str(uid), True), (str(uid + 1), False), ('0', False), (f'{uid} ', False)):
        outcome = wall.attack('fake_proc', 'find_marker', MARKER, image=image('root'), timeout=20,
                              extra=['-v', f'{theirs}/link:/vol:ro'], env={'SUDO_UID': sudo_uid})
        if follows:
            wall.escaped(outcome)
        else:
            assert outcome.code == 125 and not outcome.verdicts, outcome


def test_source_in_a_strangers_tree_may_use_their_links(theirs, image):
    """What root is to work on for somebody else stays usable: links that stay with their owner."""
    _bend(theirs / 'current', 'tree')
    (theirs / 'tree' / MARKER).write_text('theirs\n')
    wall.escaped(_through(theirs / 'current', image, as_image=False))
    wall.escaped(_through(theirs / 'current', image, as_image=True))


def test_source_swapped_meanwhile_leads_nowhere(theirs, image, outside):
    """One moment their directory, the next their link: neither look shows root's."""
    link = theirs / 'vol-link'
    _bend(link, outside)
    (theirs / 'vol').mkdir()
    os.chown(theirs / 'vol', wall.user().pw_uid, wall.user().pw_gid)
    outcomes = []
    end = time.monotonic() + 4
    with Swapper([(theirs / 'vol', link)]) as swapper:
        while len(outcomes) < 60 and time.monotonic() < end:
            outcomes.append(_through(theirs / 'vol', image, as_image=False))
    assert swapper.rounds > len(outcomes)
    for outcome in outcomes:
        _refused_or(wall.held, outcome)
