"""Attacks on what exec brings into a sandbox: on the newborn, and by it."""

import contextlib
import itertools
import os
import select
import subprocess
import time

import pytest

import wall
from test_escape_processes import INIT, INPUT, _under_terminal

each_wall = wall.each_wall

HUNTS = ['exe', 'maps', 'environ', 'mem', 'fds', 'trace', 'steal']
BIRTHS, MOST_BIRTHS = 6, 500  # after the attacker has met one; before it is given up
# Where the command is looked for: it takes a newborn as long that the attacker meets it for certain.
LONG_WAY = ['-e', 'PATH=' + '/nowhere:' * 1500 + '/bin']
_numbers = itertools.count(1)


class Sandbox:
    """A sandbox that runs, to be exec'ed into."""

    def __init__(self, binary, who, name, process):
        self.binary, self.who, self.name, self.process = binary, who, name, process

    def argv(self, *command, opts=()):
        return wall._as(self.who, [self.binary, 'exec', *opts, self.name, '--', *command])

    def exec(self, *command, opts=(), **rest):
        argv = self.argv(*command, opts=opts)
        return wall._finish(argv, *wall._spawn(argv, timeout=30, **rest))

    def signal(self, name):
        subprocess.run(wall._as(self.who, [self.binary, 'kill', '-s', name, self.name]), check=True, stdout=subprocess.DEVNULL)

    def end(self):
        """Its outcome, after SIGTERM."""
        self.signal('TERM')
        out, err = self.process.communicate(timeout=30)
        return wall._finish(self.process.args, self.process.returncode, out, err)


@contextlib.contextmanager
def sandbox(image, *command, who='root', profile='strict', weak=False, without=(), extra=()):
    """Whose command says "ready"."""
    name = f'escape-exec-{os.getpid()}-{next(_numbers)}'
    binary = wall.WEAK if weak else wall.CLOISTER
    command = command or ('/bin/sh', '-c', 'echo ready; exec sleep 1000')
    argv = wall._as(who, [binary, 'run', '--name', name, *wall.options(who, without, profile, extra), image, '--', *command])
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                          env={**os.environ, 'OF_THE_HOST': '1'}) as process:
        try:
            assert process.stdout.readline() == b'ready\n', process.stderr.read()
            made = Sandbox(binary, who, name, process)
            until = time.monotonic() + 20
            while made.exec('/bin/true').code != 0 and time.monotonic() < until:
                pass
            yield made
        finally:
            wall.end(process)


def hunt(image, probe, births=BIRTHS, exec_opts=(), **options):
    """How the attacker ended: by itself, or after some births that it had a chance at."""
    with sandbox(image, '/attack/newborn', probe, **options) as made:
        met, done = -1, []
        for birth in range(MOST_BIRTHS):
            if made.process.poll() is not None:
                out, err = made.process.communicate(timeout=30)
                return wall._finish(made.process.args, made.process.returncode, out, err)
            if met < 0 and select.select([made.process.stdout], [], [], 0)[0]:
                met = birth
            if 0 <= met <= birth - births:
                break
            done.append(made.exec('true', opts=[*LONG_WAY, *exec_opts]))
        outcome = made.end()
        failed = [run for run in done if run.code != 0]
        assert not failed or outcome.verdict == 'ESCAPED', failed[0]  # the attacker's end is that of all
        return outcome


@each_wall
def test_a_newborn_is_closed(image, who, profile):
    wall.held(hunt(image(who), 'all', who=who, profile=profile))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['all', 'fds'])
def test_a_newborn_that_changes_its_user_is_closed(image, who, probe):
    """From init's to the attacker's: it has lost the capabilities by which it was closed."""
    wall.held(hunt(image(who), probe, who=who, profile='build', extra=['-u', '1000']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['all', 'fds'])
def test_a_newborn_of_another_user_is_closed_to_root(image, who, probe):
    wall.held(hunt(image(who), probe, who=who, profile='build', exec_opts=['-u', '1000']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', [*HUNTS, 'all'])
def test_a_newborn_is_open_without_its_layers(image, who, probe):
    wall.escaped(hunt(image(who), probe, births=MOST_BIRTHS, who=who, profile='build', weak=True,
                      without=['dumpable', 'capabilities', 'securebits', 'seccomp', 'landlock']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('off,probe', [('capabilities', 'all'), ('dumpable', 'mem'), ('dumpable', 'maps'), ('dumpable', 'trace')])
def test_either_layer_alone_closes_a_newborn(image, who, probe, off):
    wall.held(hunt(image(who), probe, who=who, weak=True, without=[off, 'seccomp', 'landlock']))


# --- by the command -------------------------------------------------------------------------


@each_wall
@pytest.mark.parametrize('probe', INIT)
def test_init_is_closed_to_what_it_bore(image, who, profile, probe):
    with sandbox(image(who), who=who, profile=profile) as made:
        wall.held(made.exec('/attack/init_access', probe), dies=True)
        made.exec('/bin/true')


@each_wall
@pytest.mark.parametrize('program,probe', [
    ('privileges', 'capability_sets'), ('privileges', 'bounding'), ('privileges', 'no_new_privs'), ('privileges', 'seccomp_mode'),
    ('privileges', 'securebits'), ('namespaces', 'clone_user'), ('namespaces', 'unshare_mount'), ('nested_filter', 'seccomp'),
    ('keyring', 'proc_keys'), ('leaks', 'descriptors'), ('leaks', 'numbers'), ('leaks', 'standard')])
def test_layers_hold_as_for_main(image, who, profile, program, probe):
    """With the same verdict: in build root has capabilities, which some of them find."""
    straight = wall.attack(program, probe, image=image(who), who=who, profile=profile)
    with sandbox(image(who), who=who, profile=profile) as made:
        outcome = made.exec(f'/attack/{program}', probe)
    assert straight.verdict in ('HELD', 'ESCAPED') and (straight.verdict == 'HELD' or profile == 'build'), straight
    assert (outcome.code, outcome.verdict) == (straight.code, straight.verdict), f'{outcome}\n{straight}'


@each_wall
def test_it_is_in_the_domain_of_main(image, who, profile):
    """Landlock keeps strangers from tracing and signalling: these two are none."""
    with sandbox(image(who), who=who, profile=profile) as made:
        assert made.exec('/attack/init_access', 'mem', '2').verdict == 'ESCAPED'
        assert made.exec('/attack/init_access', 'attach', '2').verdict == 'ESCAPED'
        assert made.exec('/bin/sh', '-c', 'kill -0 2').code == 0
        for path in ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/sys', '/dev/mem'):
            assert made.exec('/bin/sh', '-c', f'echo x >{path}').code != 0


@pytest.mark.parametrize('who', ['root', 'user'])
def test_a_program_in_the_place_of_another_gains_nothing(image, who):
    """CVE-2019-5736 began with such a program, which looks at who started it."""
    script = 'cp /attack/init_access /bin/true; rm /bin/sh; cp /attack/leaks /bin/sh; echo ready; exec sleep 1000'
    tools = '/bin/busybox'
    script = script.replace('cp ', f'{tools} cp ').replace('rm ', f'{tools} rm ')
    with sandbox(image(who), '/bin/sh', '-c', script, who=who, profile='build') as made:
        for probe in ('exe_read', 'exe_write', 'fds', 'mem'):
            wall.held(made.exec('/bin/true', probe), dies=True)
        for probe in ('descriptors', 'numbers'):
            wall.held(made.exec('/bin/sh', probe))
        held = made.exec('/bin/true', 'exe_path', 'self')
        assert 'cloister' not in held.err.replace('cloister: ', ''), held


# --- terminals --------------------------------------------------------------------------------


@each_wall
@pytest.mark.parametrize('opts', [(), ('-t', '-i')], ids=['streams', 'terminal'])
@pytest.mark.parametrize('probe', ['inject', 'inject_high_bits', 'linux_console', 'steal'])
def test_the_clients_terminal_is_out_of_reach(image, who, profile, probe, opts):
    with sandbox(image(who), who=who, profile=profile) as made:
        outcome, typed = _under_terminal(made.argv('/attack/terminal', probe, INPUT, opts=opts))
        assert typed == b'', outcome
        wall.held(outcome, dies=not opts)


def test_a_hostile_dev_bends_no_terminal(own_tree, outside):
    """Root inside may put anything below /tmp or in the image's place of /dev; devpts is not reached by a path."""
    script = ('b=/bin/busybox; $b chmod 0 /dev/pts/ptmx; $b rm -rf /dev/ptmx; $b ln -s /dev/null /dev/ptmx; '
              '$b mv /dev/pts /dev/elsewhere; echo ready; exec $b sleep 1000')
    with sandbox(wall.image(own_tree), '/bin/sh', '-c', script, profile='build') as made:
        outcome = made.exec('/bin/busybox', 'tty', opts=['-t'])
        assert outcome.code == 0 and outcome.out.startswith('/dev/') or 'open a pty: Permission denied' in outcome.err, outcome
        assert made.exec('/bin/true').code == 0
