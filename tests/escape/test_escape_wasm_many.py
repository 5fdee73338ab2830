"""The wasm wall when a worker for many is its guests': an attack of ours in the place of cloister-wasm, which does
what a client tells it.

As in test_escape_wasm, the worker's own system call filter isn't there (test_seccomp_own has what it lets through):
what is shown is what the container holds alone, whose filter is on. What such a worker gets besides is its clients:
their descriptors, and the line on which they come."""

import itertools
import json
import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

import wall
from lib import runner
from lib import wasm_worker as wire

each_who = pytest.mark.parametrize('who', ['root', 'user'])
FILES = ['/proc/self/mem', '/proc/1/mem', '/proc/self/exe', '/proc/kcore', '/dev/null', '/dev/mem', '/dev/kvm', '/sys/kernel', '/sys/fs/cgroup/memory',
         '/etc/passwd', '/etc/shadow', '/usr/bin/env', '/root', '/run/cloister', '/var/cache/cloister']
CALLS = [('namespaces', 'unshare_user'), ('namespaces', 'clone_user'), ('namespaces', 'unshare_mount'), ('namespaces', 'clone3_user'),
         ('init_access', 'attach'), ('init_access', 'mem'), ('signals', 'all'), ('privileges', 'become_root'), ('sockets', 'packet'),
         ('syscalls', 'userfaultfd'), ('syscalls', 'pivot_root'), ('syscalls', 'mount_setattr'), ('syscalls', 'io_uring_setup'),
         ('syscalls', 'bpf'), ('syscalls', 'perf_event_open')]
MARKER = b'compiled, and trusted\n'
numbers = itertools.count()


def text(data):
    return data.decode('utf-8', 'replace')


class Worker:
    """`cloister wasm serve` of a tenant that nobody else has, with `binary` beside its worker."""

    def __init__(self, binary, who, extra=()):
        self.binary, self.who = binary, who
        self.tenant = f'escape-{os.getpid()}-{next(numbers)}'
        self.id = self.call('wasm', 'serve', '-d', '--tenant', self.tenant, *wall.options(who, extra=extra)[2:]).strip()  # no profile
        self.state = Path('/run/cloister' if who == 'root' else f'/tmp/cloister-{wall.user().pw_uid}')
        self.path = self.state / 'workers' / self.tenant

    def call(self, *words):
        argv = wall._as(self.who, [self.binary, *words])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, cwd='/')
        assert done.returncode == 0, f'{argv}: {done.returncode} {done.stderr!r}'
        return text(done.stdout)

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(20)
        client.connect(str(self.path))
        return client

    def tell(self, *words, fds=()):
        """A client that has told the worker what to do."""
        client = self.connect()
        socket.send_fds(client, [b''.join(os.fsencode(str(word)) + b'\0' for word in words)], list(fds))
        return client

    def ended(self):
        return int(self.call('wait', self.id).split()[0])

    def inspect(self):
        return json.loads(self.call('inspect', self.id))[0]

    def supervisor(self):
        return self.inspect()['supervisor_pid']

    def pid(self):
        inside, = (pid for pid in runner.descendants(self.supervisor()) if Path(f'/proc/{pid}/comm').read_text() == 'cloister-wasm\n')
        return inside

    def stop(self):
        self.call('rm', '-f', self.id)


class Broken:
    """A cloister with an attack for a worker."""

    def __init__(self):
        self.place = wall.scratch('escape-wasm-many-')
        self.bin = self.place / 'bin'
        self.bin.mkdir()
        shutil.copy(wall.CLOISTER, self.bin / 'cloister')

    def serve(self, program, who, extra=()):
        shutil.copy(wall.BUILT / program, self.bin / 'cloister-wasm')
        return Worker(self.bin / 'cloister', who, extra)

    def attack(self, program, *args, who, extra=(), fds=()):
        worker = self.serve(program, who, extra)
        try:
            said = b''
            with worker.tell(*args, fds=fds) as client:
                while more := client.recv(4096):
                    said += more
            return wall.Outcome([program, *args], worker.ended(), '', text(said), None, wall.VERDICT.findall(text(said)))
        finally:
            worker.stop()


@pytest.fixture(scope='module')
def broken(programs):
    made = Broken()
    yield made
    shutil.rmtree(made.place)


@pytest.fixture
def given(programs):
    """A file that a client gives to be read, and that is its own."""
    place = wall.scratch('escape-wasm-given-')
    path = place / 'module'
    path.write_bytes(MARKER)
    path.chmod(0o600)
    yield path
    shutil.rmtree(place)


# --- what the container holds ---------------------------------------------------------------------


@each_who
@pytest.mark.parametrize('path', FILES)
def test_file_is_not_there(broken, who, path):
    wall.held(broken.attack('open_path', 'read', path, who=who))
    wall.held(broken.attack('open_path', 'write', path, who=who))


@each_who
@pytest.mark.parametrize('program,probe', CALLS, ids=['-'.join(c) for c in CALLS])
def test_call_gets_nowhere(broken, who, program, probe):
    wall.held(broken.attack(program, probe, who=who), dies=True)


@each_who
def test_files_of_the_root_are_scratch(broken, who):
    outcome = broken.attack('open_path', 'create', '/planted', who=who)
    assert outcome.verdict == 'ESCAPED', f'the root of a worker can be written: {outcome}'
    assert not os.path.exists('/planted')


@each_who
def test_no_program_of_a_volume_is_executed(broken, who):
    """Landlock lets the worker alone be executed."""
    extra = ['-v', f'{wall.BUILT}:/attack']
    outcome = broken.attack('start', '/attack/leaks', 'environment', 'HOME', who=who, extra=extra)
    assert 'execv /attack/leaks: Permission denied' in outcome.err, f'{outcome}'
    outcome = broken.attack('start', '/attack/leaks', 'environment', 'HOME', who=who, extra=[*extra, '--without', 'landlock'])
    assert outcome.verdict in ('HELD', 'ESCAPED') and 'execv' not in outcome.err, f'it is not Landlock that holds it: {outcome}'


# --- what clients give ----------------------------------------------------------------------------


def doors(given, door, link):
    """What is told to a program that has no client."""
    return [door, given, link] if door == 'link' else [door, given]


@pytest.mark.parametrize('door', ['chmod', 'reopen', 'link'])
def test_a_module_can_be_changed_by_its_owner(given, door):
    """That the next test's doors are some."""
    wall.escaped(wall.bare('broken_worker', *doors(given, door, given.with_name('link'))))


def test_a_module_that_is_a_program_is_executed(given):
    """The last door."""
    shutil.copy('/bin/echo', given)
    given.chmod(0o700)
    done = subprocess.run([wall.BUILT / 'broken_worker', 'execute', given], capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, b'\n'), done


@pytest.mark.parametrize('who,door', [('root', 'chmod'), ('root', 'reopen'), ('root', 'link'), ('root', 'execute'), ('user', 'reopen'), ('user', 'link'),
                                      ('user', 'execute')])
def test_a_module_that_was_given_stays_as_it_is(broken, given, who, door):
    """Not chmod by an ordinary user's, who owns it: there the worker's own filter holds it, which knows no fchmod."""
    if door == 'execute':
        shutil.copy(wall.BUILT / 'leaks', given)
    before = given.read_bytes()
    given.chmod(0o700 if door == 'execute' else 0o600)
    os.chown(given, *((0, 0) if who == 'root' else wall.user()[2:4]))
    was = given.stat()
    with given.open('rb') as file:
        wall.held(broken.attack('broken_worker', door, who=who, fds=[file.fileno()]), dies=True)
    now = given.stat()
    assert given.read_bytes() == before and (now.st_mode, now.st_uid, now.st_nlink) == (was.st_mode, was.st_uid, 1)


@each_who
def test_what_a_client_gave_is_closed_when_the_worker_ends(broken, who):
    """While it lives it may keep it, beyond its client's end."""
    worker = broken.serve('broken_worker', who)
    ours, theirs = os.pipe()
    try:
        with worker.tell('keep', fds=[theirs]) as client:
            os.close(theirs)
            assert client.recv(100) == b'kept 1\n'
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
        os.set_blocking(ours, True)
    finally:
        worker.stop()
    assert os.read(ours, 1) == b''
    os.close(ours)


# --- the supervisor -------------------------------------------------------------------------------


@each_who
@pytest.mark.parametrize('version', [wire.VERSION, 1, -1])
def test_what_it_says_at_its_end_is_text(broken, who, version):
    worker = broken.serve('broken_worker', who)
    try:
        with worker.tell('words', version) as client:
            while client.recv(4096):
                pass
        assert worker.ended() == 3
        error = worker.inspect()['result']['error']
        if version == wire.VERSION:
            assert error.startswith('E') or '31m' in error, error
            assert len(error) < 1000 and error.isprintable(), error
        else:
            assert error is None or '31m' not in error, error
    finally:
        worker.stop()


@each_who
def test_a_full_line_holds_nobody_up(broken, who):
    """Clients come and are sent away, and it is ended like any other."""
    worker = broken.serve('broken_worker', who)
    fds = Path(f'/proc/{worker.supervisor()}/fd')
    try:
        before = len(list(fds.iterdir()))
        with worker.tell('flood') as client:
            assert client.recv(100).startswith(b'flooded ')
            others = [worker.connect() for _ in range(20)]
            begun = time.monotonic()
            assert worker.inspect()['id'] == worker.id and time.monotonic() - begun < 10
            for other in others:
                other.close()
            runner.poll(lambda: len(list(fds.iterdir())) == before, 20, 'it to keep no descriptor')
            worker.call('stop', '-t', '0', worker.id)
            assert client.recv(100) == b''
    finally:
        worker.stop()


# --- other tenants --------------------------------------------------------------------------------


@pytest.fixture
def victim(programs):
    """A worker as it should be, of another tenant."""
    workers = []

    def start(who):
        place = wall.scratch('escape-wasm-victim-')
        for name in ('cloister', 'cloister-wasm'):
            shutil.copy(wall.PROJECT / 'build/bin' / name, place)
        workers.append((Worker(place / 'cloister', who), place))
        return workers[-1][0]

    yield start
    for worker, place in workers:
        worker.stop()
        shutil.rmtree(place)


@each_who
def test_another_tenants_worker_is_out_of_reach(broken, victim, who):
    other = victim(who)
    pid = other.pid()
    attempts = [('open_path', 'seen', other.path), ('broken_worker', 'connect', other.path), ('signals', 'one', pid), ('signals', 'pidfd', pid),
                ('open_path', 'read', f'/proc/{pid}/root/.guests'), ('open_path', 'read', f'/proc/{pid}/mem'), ('open_path', 'seen', '/.guests')]
    for attempt in attempts:
        wall.held(broken.attack(*attempt, who=who), dies=True)
    with other.connect() as client:  # it is none the worse for it
        client.send(b'')
        assert client.recv(400) == b'' and runner.alive(pid)


def test_another_tenants_worker_is_in_reach_of_the_host(victim):
    """That what the test above tries is there to be found."""
    other = victim('root')
    wall.escaped(wall.bare('open_path', 'seen', other.path))
    wall.escaped(wall.bare('broken_worker', 'connect', other.path))
    wall.escaped(wall.bare('open_path', 'read', f'/proc/{other.pid()}/root'))


@each_who
def test_a_worker_has_its_filter_on_when_it_takes_clients(victim, who):
    """Two at least, its own and the container's; and no privilege of any kind."""
    other = victim(who)
    with other.connect() as client:
        client.send(b'no order')
        assert client.recv(400)[4:8] == b'\2\0\0\0'  # it answers: refused
        status = dict(line.split(':\t') for line in Path(f'/proc/{other.pid()}/status').read_text().splitlines())
        assert status['Seccomp'] == '2' and int(status['Seccomp_filters']) >= 2, status
        assert status['NoNewPrivs'] == '1' and {status[f'Cap{which}'].strip('0') for which in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')} == {''}, status
        assert status['Threads'] == '1'
    assert stat.S_IMODE(other.path.parent.stat().st_mode) == 0o700
