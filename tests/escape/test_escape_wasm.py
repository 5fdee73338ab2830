"""The wasm wall when its worker is the guest's: an attack of ours in the place of cloister-wasm,
or of cloister-wasm-component, which runs components.

That is what an engine's bug comes to. The worker's own system call filter isn't there then, which it puts on
before a guest begins: what is shown here is what the container around it holds alone. That the attacks work
where nothing stops them the other files show."""

import os
import shutil

import pytest

import wall
from lib import wasm_module as wasm

each_who = pytest.mark.parametrize('who', ['root', 'user'])
FILES = ['/proc/self/mem', '/proc/1/mem', '/proc/self/exe', '/proc/kcore', '/proc/keys', '/dev/null', '/dev/kmsg', '/dev/mem', '/dev/kvm',
         '/dev/fuse', '/dev/loop-control', '/sys/kernel', '/sys/fs/cgroup/memory', '/etc/passwd', '/etc/shadow', '/usr/bin/env', '/root']
CALLS = [('namespaces', 'unshare_user'), ('namespaces', 'clone_user'), ('namespaces', 'unshare_mount'), ('namespaces', 'clone3_user'),
         ('init_access', 'attach'), ('init_access', 'mem'), ('signals', 'all'),
         ('privileges', 'become_root'), ('sockets', 'packet'),
         ('syscalls', 'userfaultfd'), ('syscalls', 'pivot_root'), ('syscalls', 'mount_setattr'), ('syscalls', 'io_uring_register')]


GUESTS = {'cloister-wasm': wasm.command(wasm.NOP), 'cloister-wasm-component': wasm.COMPONENT}


class Broken:
    """cloister with an attack for a worker, whose name decides what it is to run."""

    def __init__(self, worker):
        self.worker = worker
        self.place = wall.scratch('escape-wasm-')
        self.bin = self.place / 'bin'
        self.bin.mkdir()
        built = wall.PROJECT / 'build/bin'
        shutil.copy(wall.CLOISTER, self.bin / 'cloister')
        shutil.copy(built / 'cloister-wasmc', self.bin)
        self.module = self.place / 'guest.wasm'
        self.module.write_bytes(GUESTS[worker])
        self.module.chmod(0o644)

    def attack(self, program, *args, who, extra=()):
        shutil.copy(wall.BUILT / program, self.bin / self.worker)
        before, wall.CLOISTER = wall.CLOISTER, str(self.bin / 'cloister')
        try:
            line = [*wall.options(who, extra=extra), self.module, '--', *map(str, args)]
            return wall.run(line, as_user=None if who == 'root' else wall.USER)
        finally:
            wall.CLOISTER = before


@pytest.fixture(scope='module', params=GUESTS)
def broken(request, programs):
    made = Broken(request.param)
    yield made
    shutil.rmtree(made.place)


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
    assert outcome.verdict == 'ESCAPED', f'the root of a module can be written: {outcome}'
    assert not os.path.exists('/planted')
    wall.held(broken.attack('open_path', 'create', '/planted', who=who, extra=['--read-only']))


@each_who
def test_no_program_of_a_volume_is_executed(broken, who):
    """Landlock lets the worker alone be executed."""
    extra = ['-v', f'{wall.BUILT}:/attack']
    outcome = broken.attack('start', '/attack/leaks', 'environment', 'HOME', who=who, extra=extra)
    assert 'execv /attack/leaks: Permission denied' in outcome.err, f'{outcome}'
    outcome = broken.attack('start', '/attack/leaks', 'environment', 'HOME', who=who, extra=[*extra, '--without', 'landlock'])
    assert outcome.verdict in ('HELD', 'ESCAPED') and 'execv' not in outcome.err, f'it is not Landlock that holds it: {outcome}'


@each_who
@pytest.mark.parametrize('door', ['chmod', 'openat2', 'rename'])
def test_no_setuid_file_is_left_on_a_volume(broken, who, door):
    volume = wall.scratch('escape-wasm-volume-')
    owner = wall.user()
    os.chown(volume, owner.pw_uid, owner.pw_gid)
    try:
        broken.attack('volume_setuid', door, '/vol', who=who, extra=['-v', f'{volume}:/vol:rw'])
        assert [p for p in volume.rglob('*') if p.lstat().st_mode & 0o6000] == []
    finally:
        shutil.rmtree(volume)
