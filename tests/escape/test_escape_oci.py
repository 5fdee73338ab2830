"""The attacks again, as processes of containers that an engine has cloister-oci make: engine.py.

Nothing is weaker than the bundle says, and nothing stronger is claimed: what a default of Docker's or
Podman's permits stands in PERMITTED, with the reason, and has to work there.
"""

import contextlib
import fnmatch
import json

import pytest

import engine
import wall
from test_escape_exec import BIRTHS, HUNTS, MOST_BIRTHS
from test_escape_files import READABLE, REMOUNTS, TREES, WHITEOUTS, WRITABLE, device_tree  # noqa: F401
from test_escape_kernel import ABIS, FAMILIES, FILTERS, KEYS, NAMESPACES, OPTIONS, PRIVILEGED, UNPRIVILEGED, host_key  # noqa: F401
from test_escape_neighbours import NETWORK, Victim, _port, _thefts, listeners  # noqa: F401
from test_escape_privileges import DOORS, privileged_files  # noqa: F401
from test_escape_processes import INIT, INPUT, LEAKS, _under_terminal, open_descriptors, victim  # noqa: F401

MARKER = 'host-marker-4711'
fronts = pytest.mark.parametrize('front', engine.FRONTS, indirect=True)

# program: its probes, each with its arguments. Words in braces are the scene's.
ATTACKS = {
    'open_path': [*(f'write {path}' for path in WRITABLE), *(f'read {path}' for path in READABLE),
                  *(f'any_writable {path}' for path in TREES),
                  *(f'create {path}/planted' for path in ('/proc', '/sys', '/sys/fs/cgroup', '/ro'))],
    'devices': ['dev_contents', 'dev_numbers', 'make_char', 'make_block', 'change_mode', 'new_in_dev',
                *(f'{probe} /vol' for probe in WHITEOUTS)],
    'readonly': [*(f'{probe} {place}' for probe in REMOUNTS
                   for place in ('/', '/ro', '/proc', '/proc/sys', '/dev', '/sys', '/sys/fs/cgroup')),
                 'propagation', 'flags', 'host_mounts /escape-host-mount', 'above'],
    'fake_proc': ['real_proc', f'find_marker {MARKER}'],
    'syscalls': [*UNPRIVILEGED, *PRIVILEGED],
    'sockets': [*('family {} {}'.format(*family) for family in FAMILIES.values()),
                *(f'{door} {FAMILIES[name][0]}' for door in ('high_bits', 'pair')
                  for name in ('packet', 'alg', 'vsock', 'netlink-route')),
                'raw', 'packet', *OPTIONS],
    'foreign_abi': ABIS,
    'nested_filter': FILTERS,
    'namespaces': NAMESPACES,
    'release_agent': ['mount_v1', 'mount_v2', 'visible'],
    'file_handle': ['shocker boot', 'own_handle boot'],
    'break_chroot': ['walk_up', 'read_above {marker}'],
    'keyring': [f'{door} {{key_number}}' if door == 'by_number' else f'{door} {{key}}' for door in KEYS],
    # of a process of the host: of a container's first there is no other program
    'init_access': [f'{probe} {{victim}}' for probe in INIT if probe not in ('kill', 'stop')],
    'privileges': ['capability_sets', 'bounding', 'no_new_privs', 'seccomp_mode', 'securebits', 'root_inside',
                   'become_root', 'groups', 'core_dump', 'core_helper'],
    'leaks': [*LEAKS, 'environment OF_THE_HOST'],
    'signals': ['one {victim}', 'pidfd {victim}', 'all', 'group', 'find 304711', 'count'],
    'terminal': ['session'],
    'network': [f'{probe} {{{probe}}}' for program, probe in NETWORK if program == 'network'],
    'abstract_unix': [f'{probe} {{{probe}}}' for program, probe in NETWORK if program == 'abstract_unix'],
    'hold_end': ['triggers 3'],
    'volume_setuid': [f'{door} /vol' for door in DOORS],
    'volume_doors': ['notify /vol'],
    'page_cache': ['ask /bin/busybox'],
}
TOGETHER = ('open_path', 'readonly', 'sockets', 'syscalls', 'namespaces')  # in one container: they change nothing
# What is asked of them here by other tests, or of what no bundle has: with the reason.
ELSEWHERE = {
    'broken_worker': 'of cloister wasm serve', 'copier': 'of cloister cp', 'shared_pool': 'of the ids that cloister run gives; an engine gives its own',
    'hollow': 'conformance: test_a_process_whose_first_thread_has_ended_runs', 'swapper': 'of cloister cp',
    'self_exe': 'conformance: test_the_runtime_is_not_overwritten',
}

ROOT = ('docker', 'landlock', 'strict')  # uid 0 of the host
USERS = ('podman', 'rootless')  # an ordinary user's
MAPPED = ('remap', *USERS)
LOOSE = ('docker', 'landlock', *MAPPED)  # Docker's filter and no other
ALL = (*ROOT, *MAPPED)
FILTER = "Docker's profile lets it be"
# An attack of ATTACKS, where it works (nowhere, before rows of more), and why the bundle says so.
PERMITTED = [
    ('open_path write /proc/1/setgroups', (), 'mapped already, or the host\'s'),
    ('open_path write /proc/1/*', ALL, 'the first process is the program itself'),
    ('open_path write /proc/pressure/*', ALL, 'not among the paths that engines mask'),
    ('open_path read /proc/pressure', ALL, 'the same'),
    ('hold_end triggers *', ALL, 'the same'),
    ('open_path any_writable /proc', ALL, 'the same, and its own processes'),
    *((f'open_path read /proc/{name}', ALL, 'the same: they tell of the host') for name in ('bus', 'diskstats', 'fs', 'irq')),
    *((f'open_path read /proc/{name}', ROOT, 'the same: of root alone')
      for name in ('kpagecount', 'kpageflags', 'kpagecgroup', 'slabinfo', 'vmallocinfo', 'pagetypeinfo')),
    *((f'open_path read /sys/{name}', ALL, 'engines mount sysfs, read-only')
      for name in ('kernel', 'class/net', 'block', 'module', 'hypervisor', 'class/dmi/id/product_uuid',
                   'devices/system/cpu/vulnerabilities')),
    ('open_path read /sys/fs/cgroup/memory', (*ROOT, 'remap'), "the container's own, read-only"),
    ('devices make_*', ('docker',), 'CAP_MKNOD: what is made opens only where the device rules say so'),
    ('devices change_mode', ROOT, "the nodes of /dev are the container's own"),
    ('devices new_in_dev', ALL, "/dev is a tmpfs of the container's own"),
    ('devices whiteout_mknod *', ('docker', *MAPPED), "a volume's content is the engine's to give; 0:0 is no device"),
    ('devices whiteout_[rh]*', LOOSE, 'the same'),
    ('readonly propagation', ('remap', 'podman'), "the host's nodes of /dev are bound, and follow what the host mounts there"),
    ('readonly flags', ALL, 'neither asks for a root without set-uid files and devices'),
    ('sockets family 40 0', (), "AF_VSOCK is the one family that Docker's profile refuses"),
    ('sockets family *', LOOSE, FILTER),
    ('sockets high_bits *', LOOSE, FILTER + '; the kernel reads 32 bits'),
    ('sockets pair *', LOOSE, FILTER),
    ('sockets raw', ('docker', 'landlock', 'remap'), 'CAP_NET_RAW'),
    ('sockets packet', ('docker', 'landlock', 'remap'), 'CAP_NET_RAW'),
    ('sockets tcp_md5', LOOSE, FILTER),
    ('sockets flow_label', LOOSE, FILTER),
    ('foreign_abi *', LOOSE, "Docker's profile is for i386 and x32 too"),
    ('nested_filter *', LOOSE, FILTER),
    ('privileges capability_sets', ALL, 'the bundle gives them'),
    ('privileges bounding', ALL, 'the bundle gives them'),
    ('privileges no_new_privs', ALL, 'only where the engine is asked for it'),
    ('privileges securebits', ALL, 'no bundle can say them'),
    ('privileges root_inside', ALL, 'the process is root where nobody says otherwise'),
    ('privileges become_root', ALL, 'the same'),
    ('privileges groups', ALL, 'CAP_SETGID'),
    ('privileges core_*', ALL, 'neither sets a limit on cores'),
    ('volume_setuid *', LOOSE, "a volume's content is the engine's to give"),
    ('volume_setuid capability *', ('strict',), 'CAP_SETFCAP'),
    ('volume_doors notify *', LOOSE, FILTER),
    ('page_cache ask *', LOOSE, FILTER),
]
# Shown by the same on the bare host: it works there only if this kernel, and who started the tests, let it.
OF_THE_HOST = ('open_path read', 'open_path write', 'hold_end', 'privileges core_')
# Either: what it finds is of the moment.
UNSURE = {'open_path read /proc/locks': 'locks of open file descriptions are nobody\'s, and shown to all'}


@pytest.fixture(scope='module')
def trees(programs):
    made = engine.Trees()
    yield made
    made.remove()


@pytest.fixture
def make_front(trees, make_runtime):
    yield lambda name, **more: trees.front(name, make_runtime, **more)
    trees.leave()


@pytest.fixture
def front(request, make_front):
    return make_front(request.param)


@pytest.fixture
def scene(front, outside, listeners, victim, host_key):
    """What the attacks are told."""
    name, number = host_key(front.runtime.identity)
    return {'marker': str(outside / MARKER), 'victim': victim(front.runtime.identity).pid, 'key': name, 'key_number': number,
            **listeners}


def expected(name, attack):
    """Whether an attack gets through in a front, by the first row that fits."""
    for pattern, where, _ in PERMITTED:
        if fnmatch.fnmatchcase(attack, pattern) and (name in where or not where):
            return 'ESCAPED' if where else 'HELD'
    return 'HELD'


def place_volumes(front):
    """/vol, a directory of root inside, and /ro, another that is read-only."""
    volume, read_only = front.runtime.directory('volume'), front.runtime.directory('volume')
    front.give(volume, read_only)

    def change(bundle):
        bundle.mount('/vol', volume, 'rbind', 'rprivate', 'rw').mount('/ro', read_only, 'rbind', 'rprivate', 'ro')
        bundle.process['env'].append('TMPDIR=/vol')
    return change


def differs(front, attack, outcome):
    """What is wrong with the outcome of an attack, or None."""
    wanted = expected(front.name, attack)
    if wanted == 'ESCAPED' and attack.startswith(OF_THE_HOST) and outcome.verdict == 'HELD':
        wanted = wall.bare(*attack.split()).verdict.replace('ERROR', 'HELD')
    if outcome.killed_by_filter and wanted == 'HELD':
        return None
    if attack in UNSURE and outcome.verdict in ('HELD', 'ESCAPED') or [word for word, _ in outcome.verdicts] == [wanted]:
        return None
    return f'{attack}: {wanted} is expected: {outcome}'


@fronts
@pytest.mark.parametrize('program', ATTACKS)
def test_attacks_get_no_further_than_the_bundle_says(front, scene, outside, program):
    before = wall.snapshot(outside)
    lines = [f'{program} {probe}'.format(**scene) for probe in ATTACKS[program]]
    if program in TOGETHER:
        outcomes = front.attacks(lines, change=place_volumes(front))
    else:
        outcomes = [front.attack(*line.split(), change=place_volumes(front), env={'OF_THE_HOST': '1'}) for line in lines]
    wrong = list(filter(None, (differs(front, *each) for each in zip(lines, outcomes))))
    assert not wrong, f'{len(wrong)} of {len(lines)}:\n' + '\n'.join(wrong)
    assert wall.snapshot(outside) == before


def test_the_tables_are_whole():
    """Every program is attacked with or has its reason, and every row of what is permitted fits something."""
    elsewhere = ELSEWHERE.keys() | {'start', 'exhaust', 'neighbour', 'newborn'}  # below
    assert {path.stem for path in wall.HERE.glob('*.c')} == ATTACKS.keys() | elsewhere
    attacks = [f'{program} {probe}' for program, probes in ATTACKS.items() for probe in probes]
    for pattern, where, _ in PERMITTED:
        assert any(fnmatch.fnmatchcase(attack, pattern) for attack in attacks), pattern
        assert set(where) <= engine.FRONTS.keys(), pattern
    assert UNSURE.keys() <= set(attacks)


# What the image brings --------------------------------------------------------------------------

@pytest.fixture
def front_of(make_runtime):
    """front_of(name, tree): of a tree as it is, root's."""
    return lambda name, tree: engine.Front(name, make_runtime(), tree)


@pytest.mark.parametrize('name', [name for name in engine.FRONTS if name not in USERS])
def test_setuid_file_gives_what_the_bundle_lets_it(front_of, privileged_files, name):
    """Engines let it, but for who is asked for no-new-privileges; an owner who isn't mapped gives nothing."""
    front = front_of(name, privileged_files)
    for file in ('suid', 'sgid', 'both'):
        for bound in (True, False):
            def change(bundle):
                bundle.process.update(user={'uid': 1000, 'gid': 1000}, noNewPrivileges=bound)
            judge = wall.held if bound or name == 'remap' else wall.escaped
            judge(front.attack(file, 'setuid_file', change=change))
            judge(front.attack('start', f'/attack/{file}', 'setuid_file', change=change))


@pytest.mark.parametrize('name', [name for name in engine.FRONTS if name not in USERS])
def test_device_of_the_image_opens_by_the_devices_rules(front_of, device_tree, name):
    """Docker's rules let the null device be, by whatever name, and neither the kernel's log nor a disk."""
    front = front_of(name, device_tree)
    for node in ('log', 'disk', 'void'):
        for kind in ('', '-hard', '-soft'):
            judge = wall.escaped if node == 'void' else wall.held
            judge(front.attack('open_path', 'node', f'/etc/{node}{kind}'))
    wall.held(front.attack('devices', 'dev_numbers'))


# What the caller has ----------------------------------------------------------------------------

@fronts
def test_nothing_of_the_caller_leaks(front, open_descriptors, outside):
    for probe in LEAKS:
        if probe != 'standard':  # which are the container's
            wall.held(front.attack('leaks', probe, pass_fds=open_descriptors, cwd=outside))


@fronts
@pytest.mark.parametrize('own', [True, False], ids=['own-terminal', 'callers-terminal'])
def test_nothing_is_typed_into_the_callers_terminal(front, own):
    """Without one of its own the caller's is its standard input: it is of another session. Into its own it types."""
    for probe in ('inject', 'inject_high_bits', 'linux_console', 'steal'):
        bundle = front.bundle('/attack/terminal', probe, INPUT)
        bundle.process['terminal'] = own
        bundle.write()
        outcome, typed = _under_terminal(front.runtime.argv('run', '--bundle', bundle.directory, front.runtime.new_id()))
        assert typed == b'', outcome
        (wall.escaped if own and probe.startswith('inject') and front.name in LOOSE else wall.held)(outcome)


# Another container -------------------------------------------------------------------------------

@contextlib.contextmanager
def neighbour(front, port):
    bundle = front.bundle('/attack/neighbour', 'victim', port, Victim.FILE, 60)
    bundle.process['env'].append('NEIGHBOUR=top-secret-value')
    identifier = front.runtime.new_id()
    with Victim(front.runtime.argv('run', '--bundle', bundle.write().directory, identifier), port) as victim:
        yield victim, front.runtime.call('state', identifier)
        front.runtime.call('kill', identifier, 'KILL')


@fronts
def test_neighbour_is_out_of_reach(front, make_front):
    port, other = _port(), make_front(front.name, neighbour=1)
    with neighbour(front, port) as (victim, state):
        pid = json.loads(state.ok().out)['pid']
        reached = [*(('neighbour', probe, *args) for probe, args in _thefts(port, victim)),
                   ('neighbour', 'memory', pid, victim.secret), ('signals', 'one', pid), ('signals', 'pidfd', pid),
                   ('signals', 'find', 'neighbour'), *(('init_access', probe, pid) for probe in ('mem', 'root', 'attach'))]
        for attack in reached:
            wall.held(other.attack(*attack), dies=True)
        assert victim.process.poll() is None


# What is shared by being finite --------------------------------------------------------------------

@pytest.mark.parametrize('front', [name for name in engine.FRONTS if name not in USERS], indirect=True)
@pytest.mark.parametrize('limits,attacks', [
    ({'pids': {'limit': 64}}, ['tasks 400', 'threads 400', 'bomb 9']),
    ({'memory': {'limit': 64 << 20, 'swap': 64 << 20}}, ['anonymous 128', 'shared 128', 'memfd 128', 'sysv_shm 128', 'pipes 128', 'sockets 128'])],
    ids=['tasks', 'memory'])
def test_what_the_bundle_limits_is_bounded(front, limits, attacks):
    """By an error, or the kernel's killer: in no case do they get what they want."""
    for attack in attacks:
        outcome = front.attack('exhaust', *attack.split(), change=lambda bundle: bundle.resources(**limits))
        assert outcome.verdict == 'HELD' or (outcome.code, outcome.verdict) == (137, None), outcome


def test_what_the_bundle_does_not_limit_is_not_bounded(make_front):
    for attack in ('tasks 400', 'anonymous 128', 'memfd 128'):
        wall.escaped(make_front('docker').attack('exhaust', *attack.split()))


# What exec brings in -----------------------------------------------------------------------------

def hunt(front, probe, births=BIRTHS, change=None):
    """How a container ended that waits for what exec brings; see test_escape_exec.py."""
    bundle = front.bundle('/attack/newborn', probe)
    if change:
        change(bundle)
    container = front.runtime.started(bundle)
    container.expect(b'ready\n')
    met = -1
    for birth in range(MOST_BIRTHS):
        if met < 0 and b'met' in container.out:
            met = birth
        if 0 <= met <= birth - births or b'ESCAPED' in container.err:
            break
        container.exec('true', opts=('--env', 'PATH=' + '/nowhere:' * 1500 + '/bin'), env={'OF_THE_HOST': '1'})
    container.call('kill', 'TERM')
    return engine.ended(container)


NUMBERS = 'descriptors beyond the standard ones'


def closed(front, **options):
    """How many descriptors a newborn has may be counted by the owner of its files in /proc: by the host's root, and by
    root of a user namespace at the exec itself, when its memory is the program's already. No more than that."""
    for probe in HUNTS:
        outcome = hunt(front, probe, **options)
        if probe != 'fds' or NUMBERS not in outcome.err:
            wall.held(outcome)


@fronts
def test_a_newborn_is_closed(front):
    closed(front)


def tracers(bundle):
    for kind in ('bounding', 'effective', 'permitted'):
        bundle.process['capabilities'][kind].append('CAP_SYS_PTRACE')


@pytest.mark.parametrize('front', ['remap', 'podman'], indirect=True)
def test_a_newborn_is_closed_to_who_may_trace(front):
    """In a user namespace of its own, from its birth on. Without one that capability is the runtime's: docs/threat-model.md."""
    closed(front, births=2 * BIRTHS, change=tracers)
