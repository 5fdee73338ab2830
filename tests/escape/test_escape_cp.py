"""Attacks on copies out of and into a sandbox: on the client and its places, and on the porter inside."""

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

import wall
from lib.runner import descendants, host_pid_of, poll
from test_escape_exec import sandbox
from test_escape_processes import INIT

each_wall = wall.each_wall

MARKER = 'host-marker-4711'
MOST = 300  # copies, until the attacker has been met in both states
BOX = '/bin/busybox'
# What the porter is asked for with a victim inside: its end and its limits are the sandbox's own affair.
PORTER = [probe for probe in INIT if probe not in ('kill', 'stop', 'limit')]
UNGUARDED = ['dumpable', 'capabilities', 'securebits', 'seccomp', 'landlock']


@pytest.fixture
def place():
    """A directory of the host for copies: place(who)."""
    made = []

    def make(who):
        path = wall.scratch('escape-cp-')
        made.append(path)
        if who == 'user':
            os.chown(path, wall.user().pw_uid, wall.user().pw_gid)
        return path

    yield make
    for path in made:
        shutil.rmtree(path)


@pytest.fixture
def outside(outside):
    """Where anybody may write: nothing but the wall keeps anything from there."""
    outside.chmod(0o777)
    return outside


def cp(made, *words):
    argv = wall._as(made.who, [made.binary, 'cp', *words])
    return wall._finish(argv, *wall._spawn(argv, timeout=60))


def out(made, source, target):
    return cp(made, f'{made.name}:{source}', target)


def into(made, source, target):
    return cp(made, source, f'{made.name}:{target}')


def stays(top):
    """Looks at what was copied: files, directories, and links that lead nowhere else."""
    top = os.path.realpath(top)
    for path in [Path(top), *Path(top).rglob('*')]:
        seen = path.lstat()
        assert stat.S_IFMT(seen.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK), path
        assert stat.S_ISLNK(seen.st_mode) or not seen.st_mode & 0o7000, path
        real = os.path.realpath(path)
        assert real == top or real.startswith(top + '/'), f'{path} leads to {real}'
        assert path.name != MARKER, path


def swapping(outside, target=None):
    """A tree /tmp/t whose directory d becomes a link to the host's directory and back."""
    script = (f'B={BOX}; $B mkdir -p /tmp/t/d; echo inside >/tmp/t/d/f; $B ln -s {target or outside} /tmp/t/l; '
              'exec /attack/swapper exchange /tmp/t/d /tmp/t/l')
    return '/bin/sh', '-c', script


# --- a tree that changes ----------------------------------------------------------------------


def test_a_path_of_the_host_is_led_out(image, outside):
    """What cp does not do: by a path into the sandbox its links lead to the host."""
    with sandbox(image('root'), *swapping(outside)) as made:
        top = f'/proc/{host_pid_of(made.process, "swapper")}/root/tmp/t/d'

        def read():
            with contextlib.suppress(OSError):
                return Path(f'{top}/{MARKER}').read_text() == 'the host\n'

        def write():
            with contextlib.suppress(OSError):
                Path(f'{top}/written').write_text('by a copy in')
                return (outside / 'written').exists()

        poll(read, 20, 'the marker was never read')
        poll(write, 20, 'nothing was ever written')


@each_wall
@pytest.mark.parametrize('target', ['outside', '../../../../../../../..', '/'])
def test_no_swap_leads_a_copy_out_elsewhere(image, place, outside, who, profile, target):
    where, met = place(who), set()
    before = wall.snapshot(outside)
    with sandbox(image(who), *swapping(outside, None if target == 'outside' else target), who=who, profile=profile) as made:
        for turn in range(MOST):
            outcome = out(made, '/tmp/t', where / str(turn))
            assert outcome.code in (0, 1), outcome
            assert set(outcome.err.splitlines()[:-1]) <= {
                f'cloister: left out {where}/{turn}/{name}: {why}' for name in ('d', 'l')
                for why in ('the link leads out of what is copied', 'Not a directory', 'Symbolic link loop', 'Too many levels of symbolic links',
                            'Invalid argument')}, outcome
            met.add((where / str(turn) / 'd').is_dir())
            if met == {True, False} and turn > 20:
                break
    assert met == {True, False}, 'the swap was never met in both states'
    for path in where.iterdir():
        stays(path)
        assert {file.read_text() for file in path.rglob('f')} <= {'inside\n'}
    assert wall.snapshot(outside) == before


@each_wall
def test_no_swap_leads_a_copy_in_to_the_host(image, place, outside, who, profile):
    """Into the directory that is a link now and then, and with it."""
    where = place(who)
    (where / 'd').mkdir()
    (where / 'd/new').write_text('new\n')
    before, ends = wall.snapshot(outside), set()
    with sandbox(image(who), *swapping(outside), who=who, profile=profile) as made:
        for turn in range(MOST):
            ends.add(into(made, where / 'd/new', '/tmp/t/d/new').code)
            ends.add(into(made, where / 'd', '/tmp/t').code)
            if ends == {0, 125} and turn > 20:
                break
    assert ends == {0, 125}, 'the swap was never met in both states'
    assert wall.snapshot(outside) == before


@each_wall
def test_a_copy_over_a_hostile_copy_stays(image, place, outside, who, profile):
    """Links that came first are no way for what comes later."""
    where = place(who)
    script = ('cd /tmp; $B mkdir -p one/a two/b two/a; $B ln -s a one/b; $B ln -s ../a one/a/up; $B ln -s {} one/c; $B ln -s b/../.. one/d; '
              'echo x >two/b/f; echo x >two/c; echo x >two/d; echo ready; exec $B sleep 1000').replace('{}', str(outside))
    before = wall.snapshot(outside)
    with sandbox(image(who), '/bin/sh', '-c', f'B={BOX}; {script}', who=who, profile=profile) as made:
        assert out(made, '/tmp/one/.', where / 'it').code == 1
        assert os.listdir(where / 'it') and not (where / 'it/c').is_symlink() and not (where / 'it/d').is_symlink()
        outcome = out(made, '/tmp/two/.', where / 'it')
        assert outcome.code == 125 and f'copy a directory to {where}/it/b: something else is there' in outcome.err, outcome
    stays(where / 'it')
    assert not (where / 'it/a/f').exists() and wall.snapshot(outside) == before


# --- what is no plain file -----------------------------------------------------------------------


@each_wall
def test_rights_stay_inside(image, place, who, profile):
    """Set-uid programs, hard links to the image's files, sticky and set-gid directories."""
    where = place(who)
    script = ('mkdir /tmp/t; cd /tmp/t; cp /bin/busybox su; chmod 6755 su; mkdir s; chmod 3777 s; ln /bin/busybox hard; echo ready; exec sleep 1000')
    script = re.sub(r'(mkdir|cp|chmod|ln|sleep) ', rf'{BOX} \1 ', script)
    with sandbox(image(who), '/bin/sh', '-c', script, who=who, profile=profile) as made:
        mode = made.exec(BOX, 'stat', '-c', '%a', '/tmp/t/su').out
        assert mode == '6755\n' or profile == 'strict', mode  # whose filter refuses the bits
        assert out(made, '/tmp/t', where).code == 0
    owner = 0 if who == 'root' else wall.user().pw_uid
    stays(where / 't')
    for path in [where / 't', *(where / 't').rglob('*')]:
        assert path.lstat().st_uid == owner, path
    assert stat.S_IMODE((where / 't/su').stat().st_mode) == 0o755


@pytest.mark.parametrize('profile', ['strict', 'build'])
def test_devices_are_neither_opened_nor_made(own_tree, place, profile):
    """Nodes of the image, which open in no sandbox, and what it may make itself."""
    where = place('root')
    os.mknod(own_tree / 'open/log', stat.S_IFCHR | 0o666, os.makedev(1, 11))
    os.mknod(own_tree / 'open/disk', stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mkfifo(own_tree / 'open/fifo')
    script = (f'B={BOX}; $B mkdir /tmp/t; cd /tmp/t; $B mkfifo p; $B mknod n c 1 3; $B mknod b b 7 0; echo x >f; echo ready; exec $B sleep 1000')
    with sandbox(wall.image(own_tree), '/bin/sh', '-c', script, profile=profile) as made:
        for source in ('/open', '/tmp/t', '/dev'):
            outcome = out(made, source, where)
            assert outcome.code == 1 and 'it is no file, directory or link' in outcome.err, outcome
        for source in ('/open/log', '/open/disk', '/open/fifo', '/tmp/t/p', '/dev/zero'):
            outcome = out(made, source, where / 'one')
            assert outcome.code == 125 and outcome.err.endswith('it is neither a file nor a directory\n'), outcome
    stays(where)
    assert sorted(os.listdir(where / 't')) == ['f'] and os.listdir(where / 'open') == []


def test_no_name_drives_a_terminal(image, place):
    """Neither of what is left out nor in an error."""
    where = place('root')
    names = ['\x1b]0;title\x07', '\x1b[2J', 'line\ncloister: forged', '\x9b31m', 'back\rword', '\u202eright', '\x7f']
    script = '; '.join(f"{BOX} ln -s / '/tmp/t/{name}'" for name in names)
    with sandbox(image('root'), '/bin/sh', '-c', f'{BOX} mkdir /tmp/t; {script}; echo ready; exec {BOX} sleep 1000') as made:
        argv = [made.binary, 'cp', f'{made.name}:/tmp/t', where]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and done.stdout == b''
    lines = done.stderr.decode('utf-8').splitlines()
    assert len(lines) == len(names) + 1 and all(line.startswith('cloister: ') for line in lines), lines
    assert 'forged' not in {line.partition(' ')[2].split()[0] for line in lines}
    assert not [c for c in done.stderr.decode() if c != '\n' and (ord(c) < 32 or 127 <= ord(c) < 160 or c == '\u202e')], lines


# --- who carries a copy outside ------------------------------------------------------------------

CARRIERS = ['cp-out', 'copy-out', 'cp-in', 'copy-in']


def carrier(process, inside):
    """The host's pid of who has anything of the copy open: that is stopped."""
    for pid in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(OSError):
            if any(os.readlink(f'/proc/{pid}/fd/{fd}').startswith(f'{inside}/') for fd in os.listdir(f'/proc/{pid}/fd')):
                os.kill(pid, signal.SIGSTOP)
                return pid
    return None


@contextlib.contextmanager
def carrying(how, image, where, who, without=()):
    """A copy that stands in its middle, and the host's pid of who carries it outside."""
    script = f'B={BOX}; $B mkdir /tmp/t; $B head -c 8000000 /dev/zero >/tmp/t/f; cd /tmp/t; for i in $($B seq 400); do $B ln f $i; done'
    incoming = how.endswith('-in')
    if incoming:
        (where / 'from/d').mkdir(parents=True)  # which is open all the time
        (where / 'from/d/f').write_bytes(bytes(1 << 13))
        for number in range(10000):
            os.link(where / 'from/d/f', where / f'from/d/{number}')
    with contextlib.ExitStack() as stack:
        if how.startswith('cp'):
            waits = '/bin/sh', '-c', f'{script}; echo ready; exec $B sleep 1000'
            made = stack.enter_context(sandbox(image, *waits, who=who, without=without))
            words = ['cp', *([where / 'from', f'{made.name}:/tmp'] if incoming else [f'{made.name}:/tmp/t', where / 'to'])]
        else:
            copy = ['--copy-in', f'{where}/from:/tmp/from'] if incoming else ['--copy-out', f'/tmp/t:{where}/to']
            words = ['run', *wall.options(who, without, extra=copy), image, '--', '/bin/sh', '-c', script]
        argv = wall._as(who, [wall.CLOISTER, *words])
        process = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                                       start_new_session=True))
        stack.callback(os.killpg, process.pid, signal.SIGKILL)
        yield poll(lambda: carrier(process, where / ('from' if incoming else 'to')), 30, 'nobody copies')


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('how', CARRIERS)
@pytest.mark.parametrize('probe', ['read', 'write'])
def test_who_carries_a_copy_is_shut_in(image, place, outside, who, how, probe):
    with carrying(how, image(who), place(who), who) as pid:
        wall.held(wall.bare('copier', probe, pid, outside / (MARKER if probe == 'read' else 'new')))
    assert not (outside / 'new').exists()


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('how', CARRIERS)
@pytest.mark.parametrize('probe', ['read', 'write'])
def test_who_carries_a_copy_is_open_without_landlock(image, place, outside, who, how, probe):
    with carrying(how, image(who), place(who), who, without=['landlock']) as pid:
        wall.escaped(wall.bare('copier', probe, pid, outside / (MARKER if probe == 'read' else 'new')))


# --- the porter ------------------------------------------------------------------------------------


@contextlib.contextmanager
def porting(image, where, incoming=False, **options):
    """A sandbox with a copy in its middle, and the porter's pids on the host and inside."""
    script = (f'B={BOX}; $B mkdir /tmp/t; $B head -c 8000000 /dev/zero >/tmp/t/f; cd /tmp/t; for i in $($B seq 400); do $B ln f $i; done; '
              'echo ready; exec $B sleep 1000')
    with sandbox(image, '/bin/sh', '-c', script, **options) as made:
        before = set(descendants(made.process.pid))
        words = [where / 'from', f'{made.name}:/tmp'] if incoming else [f'{made.name}:/tmp/t', where / 'to']
        argv = wall._as(made.who, [made.binary, 'cp', *words])
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as client:
            try:
                porter = poll(lambda: set(descendants(made.process.pid)) - before, 20, 'no porter came').pop()
                os.killpg(client.pid, signal.SIGSTOP)
                inside = re.search(r'^NSpid:.*\s(\d+)$', Path(f'/proc/{porter}/status').read_text(), re.M)[1]
                yield made, porter, inside
            finally:
                os.killpg(client.pid, signal.SIGKILL)


def judge(image, where, probe, **options):
    with porting(image, where, **options) as (made, _, inside):
        return made.exec('/attack/init_access', probe, inside)


@each_wall
def test_the_porter_is_closed(image, place, who, profile):
    with porting(image(who), place(who), who=who, profile=profile) as (made, _, inside):
        for probe in PORTER:
            wall.held(made.exec('/attack/init_access', probe, inside), dies=True)


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', [probe for probe in PORTER if probe != 'exe_write'])  # the host's file, which has rights of its own
def test_the_porter_is_open_without_its_layers(image, place, who, probe):
    wall.escaped(judge(image(who), place(who), probe, who=who, profile='build', weak=True, without=UNGUARDED))


@each_wall
def test_the_porter_has_nothing_of_the_host(image, place, who, profile):
    """Two descriptors but what it carries, and no path of the client's in its memory: who takes it over gains no more than that."""
    where = place(who)
    (where / 'from').mkdir()
    (where / 'from/f').write_bytes(bytes(1 << 20))
    for number in range(2000):
        os.link(where / 'from/f', where / f'from/{number}')
    for incoming in (False, True):
        with porting(image(who), where, incoming=incoming, who=who, profile=profile) as (made, porter, _):
            # it may have been seen before it let go of what its maker had
            poll(lambda: held_by(porter) == [*['/dev/null'] * 3, 'pipe:[N]', 'socket:[N]'], 10, lambda: str(held_by(porter)))
            assert os.readlink(f'/proc/{porter}/root') == '/' and os.readlink(f'/proc/{porter}/cwd') == '/'
            for space in ('mnt', 'pid', 'net', 'user', 'ipc', 'uts'):
                inner = next(pid for pid in descendants(made.process.pid) if Path(f'/proc/{pid}/comm').read_text() == 'busybox\n')
                assert os.readlink(f'/proc/{porter}/ns/{space}') == os.readlink(f'/proc/{inner}/ns/{space}'), space
            status = Path(f'/proc/{porter}/status').read_text()
            main = Path(f'/proc/{inner}/status').read_text()
            for field in ('Uid', 'Gid', 'Groups', 'NoNewPrivs', 'Seccomp', 'CapBnd'):
                wanted = re.search(rf'^{field}:[ \t]*(.*)$', main, re.M)[1]
                assert re.search(rf'^{field}:[ \t]*(.*)$', status, re.M)[1] == wanted, field
            effective, bounding = (int(re.search(rf'^{name}:\s*(\w+)$', status, re.M)[1], 16) for name in ('CapEff', 'CapBnd'))
            assert effective & ~0b11011 == 0 and effective & ~bounding == 0, status  # chown, dac_override, fowner, fsetid
            assert profile == 'build' or effective == 0
            assert where.name.encode() not in memory(porter)


def held_by(pid):
    """Its descriptors' files, but what it carries."""
    held = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            held.append(re.sub(r'\d+', 'N', os.readlink(f'/proc/{pid}/fd/{fd}')))
    return sorted(name for name in held if not re.match('/tmp(/|$)', name))


def memory(pid):
    """What a process can write to, as the host's root sees it."""
    found = bytearray()
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for line in Path(f'/proc/{pid}/maps').read_text().splitlines():
            span, rights = line.split()[:2]
            if 'w' in rights:
                start, end = (int(edge, 16) for edge in span.split('-'))
                mem.seek(start)
                with contextlib.suppress(OSError):
                    found += mem.read(end - start)
    return bytes(found)
