"""Attacks on processes: the init, others outside, descriptors, the caller's terminal."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import pytest

import wall

each_wall = wall.each_wall

INIT = ['mem', 'exe_write', 'exe_read', 'exe_path', 'root', 'cwd', 'fds', 'environ', 'maps', 'attach',
        'seize', 'vm_read', 'vm_write', 'steal_fd', 'kill', 'stop', 'limit']
# A pid namespace whose init is an ordinary program, of the shell given.
NAMESPACE = ['unshare', '-Urpfm', '--mount-proc']
COMMAND = ['-c', '"$0" "$@"; exit $?']
CARELESS = [*NAMESPACE, 'sh', *COMMAND]


@each_wall
@pytest.mark.parametrize('probe', INIT)
def test_init_is_closed(image, who, profile, probe):
    wall.held(wall.attack('init_access', probe, image=image(who), who=who, profile=profile), dies=True)


@pytest.mark.parametrize('probe', [p for p in INIT if p not in ('kill', 'stop')])
def test_careless_init_is_open(user_tree, probe):
    """Its executable is the user's own file, as a runtime's is root's when root runs it."""
    shell = [*NAMESPACE, user_tree / 'bin/sh', *COMMAND]
    wall.escaped(wall.bare('init_access', probe, who='user', inside=shell))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['mem', 'exe_read', 'fds', 'environ', 'root'])
def test_init_is_open_without_its_layers(image, who, probe):
    """Two close it, each alone: init is not dumpable, and it holds capabilities that the attacker
    lacks (ptrace(2), access mode checking). Root inside with all of init's capabilities has both off."""
    wall.escaped(wall.attack('init_access', probe, image=image(who), who=who, profile='build', weak=True,
                             without=['dumpable', 'capabilities', 'securebits', 'seccomp', 'landlock']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('off,probe', [
    *[(off, probe) for off in ('dumpable', 'capabilities')
      for probe in ('mem', 'exe_read', 'environ', 'root')],
    ('capabilities', 'fds')])  # the numbers in /proc/1/fd, not the files: only dumpable hides them
def test_either_layer_alone_closes_init(image, who, probe, off):
    wall.held(wall.attack('init_access', probe, image=image(who), who=who, weak=True,
                          without=[off, 'seccomp', 'landlock']))


@pytest.fixture
def victim(request):
    """A process of the host, of the same user as the caller: victim(who)."""
    started = []

    def start(who):
        argv = ['/bin/sleep', '304711']
        if who == 'user':
            account = wall.user()
            started.append(subprocess.Popen(argv, user=account.pw_uid, group=account.pw_gid,
                                            extra_groups=[], env={}))
        else:
            started.append(subprocess.Popen(argv, env={}))
        return started[-1]
    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize('probe', ['kill', 'stop', 'attach', 'mem', 'vm_read'])
def test_process_of_the_same_user_is_open_on_the_host(victim, probe):
    wall.escaped(wall.bare('init_access', probe, victim('user').pid, who='user'))


@each_wall
@pytest.mark.parametrize('probe', ['one', 'pidfd'])
def test_no_signal_to_the_host(image, victim, who, profile, probe):
    target = victim(who)
    wall.held(wall.attack('signals', probe, target.pid, image=image(who), who=who, profile=profile))
    assert target.poll() is None


@pytest.mark.parametrize('probe', ['one', 'pidfd'])
def test_signal_works_on_the_host(victim, probe):
    target = victim('user')
    wall.escaped(wall.bare('signals', probe, target.pid, who='user'))
    assert target.wait(5) == -15


BESIDE = ('/bin/sleep 304711 & p=$!; until [ "$(cat /proc/$p/comm)" = sleep ]; do :; done; '
          '/attack/signals {}; code=$?; kill -9 $p; exit $code')


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['one $p', 'pidfd $p', 'find 304711', 'count'])
def test_signals_and_sight_reach_whoever_is_inside(image, who, probe):
    """No build goes without the pid namespace. It alone separates: what is in it can be seen and
    signalled by the same attacks, with every other layer up."""
    wall.escaped(wall.run([*wall.options(who), image(who), '--', '/bin/sh', '-c', BESIDE.format(probe)],
                          as_user=None if who == 'root' else wall.USER))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_who_seems_dead_has_not_ended(image, who):
    outcome = wall.attack('hollow', 'leave', image=image(who), who=who, extra=['--timeout', '1s', '--stop-grace', '0'])
    assert outcome.record['status'] == 'timeout', outcome
    assert outcome.out == 'began\n', outcome


def test_who_seems_dead_lives_on_the_host():
    with subprocess.Popen([wall.BUILT / 'hollow', 'leave'], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b'began\n'
            assert Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
            assert process.poll() is None
        finally:
            process.kill()


@each_wall
def test_kill_everybody_meets_nobody(image, victim, who, profile):
    target = victim(who)
    wall.held(wall.attack('signals', 'all', image=image(who), who=who, profile=profile))
    assert target.poll() is None


def test_kill_everybody_works_beside_others():
    wall.escaped(wall.bare('signals', 'all', who='user',
                           inside=['unshare', '-Urpfm', '--mount-proc', 'sh', '-c',
                                   'trap : TERM; sleep 20 & "$0" "$@"; exit $?']))


@each_wall
@pytest.mark.parametrize('program,probe', [('signals', 'group'), ('terminal', 'session')])
def test_session_is_our_own(image, who, profile, program, probe):
    wall.held(wall.attack(program, probe, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('program,probe', [('signals', 'group'), ('terminal', 'session')])
def test_session_is_the_callers_without_setsid(program, probe):
    wall.escaped(wall.bare(program, probe, who='user', inside=CARELESS, start_new_session=True))


@each_wall
@pytest.mark.parametrize('probe,args', [('find', ['304711']), ('count', [])])
def test_host_processes_are_invisible(image, victim, who, profile, probe, args):
    victim(who)
    wall.held(wall.attack('signals', probe, *args, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('probe,args', [('find', ['304711']), ('count', [])])
def test_host_processes_are_visible_on_the_host(victim, probe, args):
    victim('user')
    wall.escaped(wall.bare('signals', probe, *args, who='user'))


# Descriptors, working directory, environment -------------------------------------------------

LEAKS = ['descriptors', 'numbers', 'standard', 'working_directory']


@pytest.fixture
def open_descriptors(outside):
    """What a careless caller leaves open: a host directory, a file for writing, an old root."""
    directory = os.open('/', os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(outside / 'host-marker-4711', os.O_RDWR)
    high = fcntl.fcntl(directory, fcntl.F_DUPFD, 700)
    yield directory, file, high
    for fd in (directory, file, high):
        os.close(fd)


@each_wall
@pytest.mark.parametrize('probe', LEAKS)
def test_nothing_of_the_caller_leaks(image, open_descriptors, outside, who, profile, probe):
    with open(outside / 'host-marker-4711', 'rb+') as file:
        wall.held(wall.attack('leaks', probe, image=image(who), who=who, profile=profile,
                              pass_fds=open_descriptors, stdin=file, cwd=outside))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_working_directory_option_stays_inside(image, outside, who):
    for workdir in ('/proc/self/fd/7', '/proc/self/fd/8/..', '/tmp/../../..', str(outside)):
        outcome = wall.attack('leaks', 'working_directory', image=image(who), who=who,
                              extra=['-w', workdir], cwd=outside)
        if workdir == '/proc/self/fd/7':
            assert outcome.code == 125 and 'working directory: ' in outcome.err and not outcome.verdicts, outcome
        else:
            wall.held(outcome)


@pytest.mark.parametrize('probe', ['descriptors', 'numbers', 'standard'])
def test_descriptors_leak_on_the_host(open_descriptors, outside, probe):
    with open(outside / 'host-marker-4711', 'rb+') as file:
        wall.escaped(wall.bare('leaks', probe, pass_fds=open_descriptors, stdin=file))


def test_working_directory_leaks_from_a_mere_chroot(root_tree):
    def enter():
        os.chroot(root_tree)  # and no chdir
    argv = ['/attack/leaks', 'working_directory']
    wall.escaped(wall._finish(argv, *wall._spawn(argv, timeout=30, cwd='/etc', preexec_fn=enter)))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['numbers', 'standard'])
def test_descriptors_leak_without_the_layer(image, open_descriptors, outside, who, probe):
    with open(outside / 'host-marker-4711', 'rb+') as file:
        wall.escaped(wall.attack('leaks', probe, image=image(who), who=who, weak=True,
                                 without=['stdio'], pass_fds=open_descriptors, stdin=file))


@pytest.fixture(params=['file', 'pipe'])
def others_output(request, outside):
    """A standard output in which something waits that others wrote."""
    if request.param == 'file':
        with open(outside / 'host-marker-4711', 'rb+') as file:
            os.chmod(file.fileno(), 0o666)
            yield file
    else:
        reader, writer = os.pipe()
        os.chmod(writer, 0o666)
        os.write(writer, b'of others')
        yield writer
        os.close(reader)
        os.close(writer)


@each_wall
def test_output_of_others_cannot_be_read(image, others_output, who, profile):
    wall.held(wall.attack('leaks', 'standard_swapped', image=image(who), who=who, profile=profile,
                          stdout=others_output))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_output_of_others_is_read_on_the_host(others_output, who):
    wall.escaped(wall.bare('leaks', 'standard_swapped', who=who, stdout=others_output))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_output_of_others_is_read_without_the_layer(image, others_output, who):
    """A pipe needs that alone; a file outside is Landlock's to refuse, too."""
    wall.escaped(wall.attack('leaks', 'standard_swapped', image=image(who), who=who, weak=True,
                             without=['stdio', 'landlock'], stdout=others_output))


@each_wall
def test_environment_of_the_caller_stays_outside(image, who, profile):
    secret = {'CLOISTER_ESCAPE_SECRET': 'token'}
    wall.held(wall.attack('leaks', 'environment', 'CLOISTER_ESCAPE_SECRET', image=image(who), who=who,
                          profile=profile, env=secret))
    wall.escaped(wall.bare('leaks', 'environment', 'CLOISTER_ESCAPE_SECRET', who=who, env=secret))


@pytest.mark.parametrize('closed', [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_descriptors_open_nothing_else(image, closed):
    """With 0, 1 or 2 closed, the next file that Cloister opens must not become one of them."""
    with tempfile.TemporaryDirectory() as folder:
        volume = f'{folder}/vol'
        os.mkdir(volume)
        os.chmod(folder, 0o755)
        os.chown(volume, wall.user().pw_uid, wall.user().pw_gid)
        closing = ' '.join(f'{fd}{"<" if fd == 0 else ">"}&-' for fd in closed)
        command = (f'{wall.CLOISTER} run -v {volume}:/vol:rw {image("root")} -- '
                   f'/bin/sh -c "exec 2>/vol/verdict; /attack/leaks numbers" {closing}')
        done = subprocess.run(['sh', '-c', command], timeout=30, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = open(f'{volume}/verdict').read() if os.path.exists(f'{volume}/verdict') else ''
        assert text.startswith('HELD: '), (done.returncode, text)


# The caller's terminal -----------------------------------------------------------------------

INPUT = 'injected\n'


def _under_terminal(argv, controlling=True):
    """Runs argv with a terminal of its own; returns what it showed and what was typed into it. The
    terminal is of argv's session, or not `controlling`, of nobody's yet."""
    master, slave = pty.openpty()
    os.chown(os.ttyname(slave), wall.user().pw_uid, -1)

    def own_terminal():
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    shown = b''
    with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                          preexec_fn=own_terminal if controlling else None, pass_fds=[slave]) as process:
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 4096)
        wall.end(process)
    while select.select([master], [], [], 0.1)[0]:
        shown += os.read(master, 4096)
    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ICANON
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    waiting = struct.unpack('i', fcntl.ioctl(slave, termios.FIONREAD, b'\0' * 4))[0]
    typed = os.read(slave, waiting) if waiting else b''
    os.close(master)
    os.close(slave)
    text = shown.decode('utf-8', 'replace').replace('\r', '')
    return wall.Outcome(argv, process.returncode, '', text, None, wall.VERDICT.findall(text)), typed


def _terminal_run(image, who, profile, probe, extra=(), weak=False, without=(), controlling=True):
    argv = [wall.WEAK if weak else wall.CLOISTER, 'run',
            *wall.options(who, without, profile, extra), image(who), '--', '/attack/terminal', probe,
            INPUT]
    return _under_terminal(wall._as(who, argv), controlling)


@each_wall
@pytest.mark.parametrize('probe', ['inject', 'inject_high_bits', 'linux_console', 'steal'])
def test_terminal_of_the_caller_is_out_of_reach(image, who, profile, probe):
    outcome, typed = _terminal_run(image, who, profile, probe)
    assert typed == b'', outcome
    wall.held(outcome, dies=True)


@each_wall
@pytest.mark.parametrize('probe', ['inject', 'inject_high_bits', 'linux_console', 'steal', 'session'])
def test_terminal_of_the_sandbox_is_not_the_callers(image, who, profile, probe):
    outcome, typed = _terminal_run(image, who, profile, probe, ['-t', '-i'])
    assert typed == b'', outcome
    wall.held(outcome)


@each_wall
def test_terminal_of_nobody_is_not_taken(image, who, profile):
    outcome, _ = _terminal_run(image, who, profile, 'steal', controlling=False)
    wall.held(outcome)


@pytest.mark.parametrize('who', ['root', 'user'])
def test_terminal_of_nobody_is_taken_without_the_layer(image, who):
    outcome, _ = _terminal_run(image, who, 'strict', 'steal', weak=True, without=['stdio'],
                               controlling=False)
    wall.escaped(outcome)


@pytest.mark.parametrize('who,controlling', [('root', True), ('root', False), ('user', False)])
def test_terminal_is_taken_on_the_host(who, controlling):
    """From another session by root alone, by anybody where it is nobody's."""
    outcome, _ = _under_terminal(wall._as(who, [wall.BUILT / 'terminal', 'steal']), controlling)
    wall.escaped(outcome)


@pytest.mark.parametrize('probe', ['inject', 'inject_high_bits'])
def test_terminal_can_be_typed_into_on_the_host(probe):
    outcome, typed = _under_terminal(wall._as('user', [wall.BUILT / 'terminal', probe, INPUT]))
    wall.escaped(outcome)
    assert typed == INPUT.encode()


def test_console_takes_commands_on_the_host():
    if not os.path.exists('/dev/tty0'):
        pytest.skip('this host has no virtual console')
    wall.escaped(wall.bare('terminal', 'linux_console'))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_session_alone_keeps_the_terminal_closed(image, who):
    """With the caller's terminal as its descriptors and no filter: nobody types into a terminal that
    is not his session's. No build leaves the session out; on the host it is shown to be the reason."""
    outcome, typed = _terminal_run(image, who, 'strict', 'inject', weak=True,
                                   without=['stdio', 'seccomp', 'landlock'])
    wall.held(outcome)
    assert 'TIOCSTI' in outcome.err + outcome.out + str(outcome.verdicts), 'there was no terminal'
    assert typed == b'', outcome


def test_session_is_what_closes_the_terminal():
    outcome, typed = _under_terminal(wall._as('user', ['setsid', '-w', wall.BUILT / 'terminal', 'inject',
                                                       INPUT]))
    wall.held(outcome)
    assert typed == b'', outcome
