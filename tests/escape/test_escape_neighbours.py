"""Attacks across: another sandbox's memory, files, environment and network, and the host's network."""

import os
import re
import select
import socket
import subprocess
import time

import pytest

import wall

each_wall = wall.each_wall


@pytest.fixture
def listeners():
    """Services of the host: on 127.0.0.1, on ::1 and on an abstract name."""
    with socket.create_server(('127.0.0.1', 0)) as four, \
            socket.create_server(('::1', 0), family=socket.AF_INET6) as six, \
            socket.socket(socket.AF_UNIX) as abstract:
        name = f'cloister-escape-{os.getpid()}'
        abstract.bind('\0' + name)
        abstract.listen()
        yield {'loopback4': four.getsockname()[1], 'loopback6': six.getsockname()[1],
               'listeners': four.getsockname()[1], 'stream': name, 'interfaces': '', 'outside': '',
               'list': ''}


NETWORK = [('network', 'loopback4'), ('network', 'loopback6'), ('network', 'listeners'),
           ('network', 'interfaces'), ('network', 'outside'), ('abstract_unix', 'stream'),
           ('abstract_unix', 'list')]


@each_wall
@pytest.mark.parametrize('program,probe', NETWORK, ids=[probe for _, probe in NETWORK])
def test_network_of_the_host_is_out_of_reach(image, listeners, who, profile, program, probe):
    wall.held(wall.attack(program, probe, listeners[probe], image=image(who), who=who,
                          profile=profile))


@pytest.mark.parametrize('program,probe', NETWORK, ids=[probe for _, probe in NETWORK])
def test_network_is_within_reach_on_the_host(listeners, program, probe):
    inside = []
    if probe in ('interfaces', 'outside'):  # a host may have neither: one is made in a namespace
        inside = ['unshare', '-n', 'sh', '-c',
                  'ip link add veth0 type veth peer name veth1 && ip addr add 192.0.2.2/24 dev veth0 '
                  '&& ip link set veth0 up && exec "$0" "$@"']
    wall.escaped(wall.bare(program, probe, listeners[probe], inside=inside))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('program,probe', [('network', 'loopback4'), ('network', 'listeners'),
                                           ('abstract_unix', 'stream')])
def test_network_is_within_reach_without_its_layer(image, listeners, who, program, probe):
    wall.escaped(wall.attack(program, probe, listeners[probe], image=image(who), who=who, weak=True,
                             without=['netns', 'landlock', 'procmask']))


class Victim:
    """A neighbour with a secret in all the places where one can be."""

    FILE = '/tmp/neighbour-secret'

    def __init__(self, argv, port=None):
        self.port = argv[argv.index('victim') + 1] if port is None else port
        self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True,
                                        env={**os.environ, 'NEIGHBOUR': 'top-secret-value'})
        if not select.select([self.process.stdout], [], [], 20)[0]:
            wall.end(self.process)
        line = self.process.stdout.readline().decode()
        found = re.match(r'ready pid=(\d+) secret=(\S+) shm=(-?\d+) queue=(-?\d+) posix=(-?\d+)', line)
        assert found, (line, self.process.poll(), self.process.stderr.read()
                       if self.process.poll() is not None else '')
        self.pid, self.secret = found.group(1), found.group(2)
        self.has_ipc = all(int(found.group(i)) >= 0 for i in (3, 4, 5))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        wall.end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()


def _port():
    with socket.create_server(('127.0.0.1', 0)) as free:
        return free.getsockname()[1]


def _thefts(port, victim):
    return [('file', [Victim.FILE]), ('tcp', [port]), ('abstract', [port]), ('sysv_shm', [port]),
            ('sysv_queue', [port]), ('posix_shm', []), ('memory', [victim.pid, victim.secret]),
            ('environment', ['top-secret-value'])]


def _victim_in_sandbox(image, who, profile, port, weak=False, without=()):
    # Its tmp, not the host's: the neighbour's scratch.
    line = [wall.WEAK if weak else wall.CLOISTER, 'run', *wall.options(who, without, profile),
            '-e', 'NEIGHBOUR=top-secret-value', image(who), '--', '/attack/neighbour', 'victim', port,
            Victim.FILE, 60]
    return Victim(wall._as(who, line))


def _host_pid(victim, program='neighbour'):
    """The victim's process as the host sees it."""
    for _ in range(100):
        out = subprocess.run(['pgrep', '-f', f'^/attack/{program} victim {victim.port} '], text=True,
                             stdout=subprocess.PIPE, check=False).stdout.split()
        if out:
            return out[-1]
        time.sleep(0.02)
    raise AssertionError(f'{program} is not running: {victim.process.args}')


@each_wall
def test_neighbour_is_out_of_reach(image, who, profile):
    port = _port()
    with _victim_in_sandbox(image, who, profile, port) as victim:
        for probe, args in _thefts(port, victim):
            wall.held(wall.attack('neighbour', probe, *args, image=image(who), who=who,
                                  profile=profile))
        outside = _host_pid(victim)
        for program, probe, args in [('neighbour', 'memory', [outside, victim.secret]),
                                     ('signals', 'one', [outside]), ('signals', 'pidfd', [outside]),
                                     ('signals', 'find', ['neighbour']), ('init_access', 'mem', [outside]),
                                     ('init_access', 'root', [outside]),
                                     ('init_access', 'attach', [outside])]:
            wall.held(wall.attack(program, probe, *args, image=image(who), who=who, profile=profile),
                      dies=True)
        assert victim.process.poll() is None


@pytest.mark.parametrize('theft', ['file', 'tcp', 'abstract', 'sysv_shm', 'sysv_queue', 'posix_shm',
                                   'memory', 'environment'])
def test_neighbour_is_within_reach_on_the_host(theft):
    """Both in one set of fresh namespaces, so that nothing is left on the host."""
    port = _port()
    program = wall.BUILT / 'neighbour'
    script = (f'ip link set lo up; mount -t tmpfs none /dev/shm; mount -t tmpfs none /tmp; '
              f'NEIGHBOUR=top-secret-value {program} victim {port} {Victim.FILE} 20 >/tmp/ready & '
              'while ! [ -s /tmp/ready ]; do sleep 0.02; done; '
              'pid=$(sed "s/.*pid=\\([0-9]*\\).*/\\1/" /tmp/ready); '
              'at=$(sed "s/.*secret=\\([^ ]*\\).*/\\1/" /tmp/ready); '
              'case $1 in memory) set -- $1 $pid $at ;; esac; '
              '"$0" "$@"; exit $?')
    args = {'file': [Victim.FILE], 'environment': ['top-secret-value'], 'posix_shm': [], 'memory': []}.get(theft, [port])
    wall.escaped(wall.bare('neighbour', theft, *args, who='user',
                           inside=['unshare', '-Urpfnim', '--mount-proc', 'sh', '-c', script]))


def _maps_host_root(pid):
    """Whether any id inside is the host's 0, as the host's own reading of the maps has it."""
    for name in ('uid_map', 'gid_map'):
        with open(f'/proc/{pid}/{name}', encoding='utf-8') as file:
            rows = [list(map(int, line.split())) for line in file]
        if not rows or any(outside == 0 for _, outside, _ in rows):
            return True
    return False


@each_wall
def test_nobody_inside_is_root_outside(image, who, profile):
    with _victim_in_sandbox(image, who, profile, _port()) as victim:
        pid = _host_pid(victim)
        assert not _maps_host_root(pid)
        with open(f'/proc/{pid}/status', encoding='utf-8') as file:
            ids = [line.split() for line in file if line.startswith(('Uid:', 'Gid:'))]
        assert len(ids) == 2 and all('0' not in row for row in ids), ids


def test_root_outside_is_recognised():
    assert _maps_host_root('self')


def test_own_uid_range_for_each_sandbox(image):
    """As root, two sandboxes are two users of the host, so that even a hole in one is not both."""
    seen = set()
    victims = []
    try:
        for _ in range(2):
            victim = _victim_in_sandbox(image, 'root', 'strict', _port())
            victims.append(victim)
        for pid in map(_host_pid, victims):
            uid = os.stat(f'/proc/{pid}').st_uid
            with open(f'/proc/{pid}/status', encoding='utf-8') as file:
                uid = next(int(line.split()[1]) for line in file if line.startswith('Uid:'))
            assert uid >= 0x70000000, uid
            seen.add(uid >> 16)
    finally:
        for victim in victims:
            victim.__exit__(None, None, None)
    assert len(seen) == 2, seen


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('layer,probe', [('netns', 'tcp'), ('netns', 'abstract'),
                                         ('ipcns', 'sysv_shm'), ('ipcns', 'sysv_queue')])
def test_neighbour_is_within_reach_without_the_layer(image, who, layer, probe):
    port = _port()
    off = [layer, 'landlock']
    with _victim_in_sandbox(image, who, 'strict', port, weak=True, without=off):
        wall.escaped(wall.attack('neighbour', probe, port, image=image(who), who=who, weak=True,
                                 without=off))
