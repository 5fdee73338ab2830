"""Attacks on the kernel through its system calls: seccomp, and what stands behind it."""

import contextlib
import os
import shutil

import pytest

import wall

each_wall = wall.each_wall

# Calls whose arguments get a telling answer without any privilege: shown with only the filter off.
UNPRIVILEGED = ['io_uring_setup', 'io_uring_enter', 'io_uring_register', 'bpf', 'perf_event_open',
                'userfaultfd', 'keyctl', 'add_key', 'request_key', 'mount', 'umount',
                'settimeofday', 'clock_settime', 'fsconfig', 'fanotify_init']
# Calls that only root gets beyond the privilege check of: shown on the bare host.
PRIVILEGED = ['open_tree', 'fsopen', 'fspick', 'move_mount', 'fsmount', 'pivot_root', 'kexec_load',
              'init_module', 'finit_module', 'delete_module', 'reboot', 'swapon', 'acct', 'quotactl',
              'sethostname', 'setdomainname', 'iopl', 'ioperm', 'syslog', 'open_by_handle_at',
              'mount_setattr']
# Families by number: (family, protocol).
FAMILIES = {'appletalk': (5, 0), 'ax25': (3, 0), 'ipx': (4, 0), 'x25': (9, 0), 'key': (15, 2),
            'packet': (17, 0), 'rds': (21, 0), 'llc': (26, 0), 'ib': (27, 0), 'can': (29, 1),
            'tipc': (30, 0), 'bluetooth': (31, 0), 'phonet': (35, 0), 'ieee802154': (36, 0),
            'caif': (37, 0), 'alg': (38, 0), 'nfc': (39, 0), 'vsock': (40, 0), 'kcm': (41, 0),
            'qipcrtr': (42, 0), 'smc': (43, 0), 'xdp': (44, 0), 'mctp': (45, 0),
            'netlink-route': (16, 0), 'netlink-sock-diag': (16, 4), 'netlink-nflog': (16, 5), 'netlink-xfrm': (16, 6),
            'netlink-audit': (16, 9), 'netlink-netfilter': (16, 12), 'netlink-uevent': (16, 15),
            'netlink-generic': (16, 16), 'netlink-crypto': (16, 21)}


@each_wall
@pytest.mark.parametrize('call', UNPRIVILEGED + PRIVILEGED)
def test_dangerous_call_is_refused(image, who, profile, call):
    wall.held(wall.attack('syscalls', call, image=image(who), who=who, profile=profile), dies=True)


@pytest.mark.parametrize('call', UNPRIVILEGED + PRIVILEGED)
def test_dangerous_call_works_on_the_host(call):
    outcome = wall.bare('syscalls', call)
    if 'Function not implemented' in outcome.err:
        pytest.skip(f'this kernel is built without {call}')
    wall.escaped(outcome)


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('call', UNPRIVILEGED)
def test_dangerous_call_works_without_the_filter(image, who, call):
    wall.escaped(wall.attack('syscalls', call, image=image(who), who=who, weak=True,
                             without=['seccomp']))


@each_wall
@pytest.mark.parametrize('family', FAMILIES)
def test_socket_family_is_refused(image, who, profile, family):
    wall.held(wall.attack('sockets', 'family', *FAMILIES[family], image=image(who), who=who,
                          profile=profile), dies=True)


@pytest.mark.parametrize('family', FAMILIES)
def test_socket_family_reaches_the_host_kernel(family):
    wall.escaped(wall.bare('sockets', 'family', *FAMILIES[family], who='user'))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('family', ['packet', 'alg', 'vsock', 'netlink-route', 'netlink-netfilter', 'tipc'])
def test_socket_family_reaches_the_kernel_without_the_filter(image, who, family):
    wall.escaped(wall.attack('sockets', 'family', *FAMILIES[family], image=image(who), who=who,
                             weak=True, without=['seccomp']))


@each_wall
@pytest.mark.parametrize('family', ['packet', 'alg', 'vsock', 'netlink-route'])
@pytest.mark.parametrize('door', ['high_bits', 'pair'])
def test_socket_family_is_refused_through_other_doors(image, who, profile, door, family):
    wall.held(wall.attack('sockets', door, FAMILIES[family][0], image=image(who), who=who,
                          profile=profile), dies=True)
    wall.escaped(wall.bare('sockets', door, FAMILIES[family][0], who='user'))


@each_wall
@pytest.mark.parametrize('kind', ['raw', 'packet'])
def test_raw_socket_is_refused(image, who, profile, kind):
    wall.held(wall.attack('sockets', kind, image=image(who), who=who, profile=profile), dies=True)
    wall.escaped(wall.bare('sockets', kind, inside=['unshare', '-n']))


OPTIONS = ['tcp_md5', 'flow_label']


@each_wall
@pytest.mark.parametrize('option', OPTIONS)
def test_socket_option_is_refused(image, who, profile, option):
    wall.held(wall.attack('sockets', option, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('option', OPTIONS)
def test_socket_option_is_set_without_the_filter(image, who, option):
    wall.escaped(wall.attack('sockets', option, image=image(who), who=who, weak=True,
                             without=['seccomp']))


ABIS = ['i386', 'i386_mkdir', 'x32', 'x32_special']


@each_wall
@pytest.mark.parametrize('call', ABIS)
def test_foreign_abi_is_killed(image, who, profile, call):
    outcome = wall.attack('foreign_abi', call, image=image(who), who=who, profile=profile)
    assert outcome.killed_by_filter, f'not killed: {outcome}'
    assert outcome.record['status'] == 'signaled', outcome
    assert outcome.record['signal'] == 31, outcome


@pytest.mark.parametrize('call', ABIS)
def test_foreign_abi_reaches_the_host_kernel(call):
    wall.escaped(wall.bare('foreign_abi', call, who='user'))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('call', ABIS)
def test_foreign_abi_reaches_the_kernel_without_the_filter(image, who, call):
    wall.escaped(wall.attack('foreign_abi', call, image=image(who), who=who, weak=True,
                             without=['seccomp']))


# One filter each and no more: thousands hang the host's kernel (see nested_filter.c).
FILTERS = ['seccomp', 'prctl', 'high_bits']


@each_wall
@pytest.mark.parametrize('door', FILTERS)
def test_no_filter_of_its_own(image, who, profile, door):
    wall.held(wall.attack('nested_filter', door, image=image(who), who=who, profile=profile))


@each_wall
@pytest.mark.parametrize('door', FILTERS)
def test_no_filter_of_its_own_under_a_profile_of_the_users(image, who, profile, door):
    """Docker's profile allows it; its own filter is a floor under it."""
    allow_all = wall.scratch() / 'profile.json'
    allow_all.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    wall.held(wall.attack('nested_filter', door, image=image(who), who=who, profile=profile,
                          extra=['--seccomp', allow_all]))
    shutil.rmtree(allow_all.parent)


@pytest.mark.parametrize('door', FILTERS)
def test_filter_of_its_own_loads_on_the_host(door):
    wall.escaped(wall.bare('nested_filter', door, who='user'))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('door', FILTERS)
def test_filter_of_its_own_loads_without_our_filter(image, who, door):
    wall.escaped(wall.attack('nested_filter', door, image=image(who), who=who, weak=True,
                             without=['seccomp']))


NAMESPACES = ['clone_user', 'clone_user_net', 'clone_pid', 'clone3_user', 'clone3_plain',
              'unshare_user', 'unshare_mount', 'unshare_time', 'setns', 'clone_high_bits',
              'unshare_high_bits']


@each_wall
@pytest.mark.parametrize('door', NAMESPACES)
def test_no_nested_namespace(image, who, profile, door):
    wall.held(wall.attack('namespaces', door, image=image(who), who=who, profile=profile), dies=True)


@pytest.mark.parametrize('door', NAMESPACES)
def test_nested_namespace_works_on_the_host(door):
    wall.escaped(wall.bare('namespaces', door, who='root' if door == 'setns' else 'user'))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('door', ['clone_user', 'clone3_user', 'unshare_user', 'unshare_mount'])
def test_nested_namespace_works_without_its_layers(image, who, door):
    wall.escaped(wall.attack('namespaces', door, image=image(who), who=who, weak=True,
                             without=['seccomp', 'userns-limit']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('left', ['seccomp', 'userns-limit'])
def test_either_layer_alone_stops_nested_namespaces(image, who, left):
    off = {'seccomp': 'userns-limit', 'userns-limit': 'seccomp'}[left]
    wall.held(wall.attack('namespaces', 'unshare_user', image=image(who), who=who, weak=True,
                          without=[off]), dies=True)


@each_wall
@pytest.mark.parametrize('door', ['mount_v1', 'mount_v2', 'visible'])
def test_no_cgroup_hierarchy(image, who, profile, door):
    wall.held(wall.attack('release_agent', door, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('door', ['mount_v1', 'mount_v2', 'visible'])
def test_cgroup_hierarchy_is_within_reach_on_the_host(door):
    wall.escaped(wall.bare('release_agent', door, inside=['unshare', '-m']))


@each_wall
@pytest.mark.parametrize('door', ['shocker', 'own_handle'])
def test_no_file_by_handle(image, who, profile, door):
    wall.held(wall.attack('file_handle', door, 'boot', image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('door', ['shocker', 'own_handle'])
def test_file_by_handle_works_in_a_mere_chroot(root_tree, door):
    wall.escaped(wall.chrooted(root_tree, 'file_handle', door, 'boot'))


@each_wall
def test_no_walk_out_of_a_chroot(image, who, profile):
    wall.held(wall.attack('break_chroot', 'walk_up', image=image(who), who=who, profile=profile))


def test_walk_out_of_a_mere_chroot(root_tree):
    wall.escaped(wall.chrooted(root_tree, 'break_chroot', 'walk_up'))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_no_file_of_the_host_lies_above_the_root(image, who, outside):
    """With everything off that forbids to go there: all that is left is what the mount namespace holds."""
    off = ['capabilities', 'seccomp', 'securebits', 'landlock']
    wall.held(wall.attack('break_chroot', 'read_above', outside / 'host-marker-4711', image=image(who), who=who, profile='build',
                          weak=True, without=off))


def test_a_file_of_the_host_lies_above_a_mere_chroot(root_tree, outside):
    wall.escaped(wall.chrooted(root_tree, 'break_chroot', 'read_above', outside / 'host-marker-4711'))


KEYS = ['session', 'user_session', 'user_keyring', 'by_number', 'proc_keys']


def _number_of(who, work):
    """The number that work() gives in a process of that user's."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            if who == 'user':
                os.initgroups(wall.USER, wall.user().pw_gid)
                os.setgid(wall.user().pw_gid)
                os.setuid(wall.user().pw_uid)
            os.write(writer, str(work()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding='ascii') as file:
        text = file.read()
    os.waitpid(pid, 0)
    assert text, f'{who} has no such number'
    return int(text)


@pytest.fixture
def host_key(programs):
    """host_key(who): the name and the number of that user's key, in a fresh session keyring and, a second
    one of that name, in the user keyring, for as long as the test."""
    add_key, keyctl = 248, 250
    name = f'cloister-escape-{os.getpid()}.'.encode()
    made = []

    def add(ring):
        key = wall.syscall(add_key, b'user', name, b'secret', 6, ring)
        wall.syscall(keyctl, 5, key, 0x3f3f3f3f)  # everybody may
        return key

    def make(who):
        ring = wall.syscall(keyctl, 1, None)
        _number_of(who, lambda: wall.syscall(keyctl, 8, -4, ring))  # possessed through the session's, too
        made.append((who, _number_of(who, lambda: add(-4)), -4))
        made.append((who, _number_of(who, lambda: add(-3)), -3))
        return name.decode(), made[-1][1]

    yield make
    for who, key, ring in made:
        _number_of(who, lambda: wall.syscall(keyctl, 9, key, ring))


def _find_key(run, door, host_key, who, **options):
    name, number = host_key(who)
    return run('keyring', door, number if door == 'by_number' else name, who=who, **options)


@each_wall
@pytest.mark.parametrize('door', KEYS)
def test_host_key_is_out_of_reach(image, host_key, who, profile, door):
    wall.held(_find_key(wall.attack, door, host_key, who, image=image(who), profile=profile), dies=True)


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('door', KEYS)
def test_host_key_is_within_reach_on_the_host(host_key, who, door):
    wall.escaped(_find_key(wall.bare, door, host_key, who))


@pytest.mark.parametrize('who,door,off', [
    ('root', 'session', ['keyring']), ('user', 'session', ['keyring']), ('root', 'by_number', []),
    ('user', 'by_number', []), ('user', 'proc_keys', ['procmask', 'landlock'])])  # root's has another uid inside
def test_host_key_is_within_reach_without_its_layers(image, host_key, who, door, off):
    wall.escaped(_find_key(wall.attack, door, host_key, who, image=image(who), weak=True,
                           without=['seccomp', *off]))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('door', ['session', 'user_session', 'user_keyring'])
def test_new_keyrings_alone_hide_the_host_key(image, host_key, who, door):
    """A session keyring of its own, and those of a user in a user namespace, which no build leaves out."""
    off = ['seccomp'] if door == 'session' else ['seccomp', 'keyring']
    wall.held(_find_key(wall.attack, door, host_key, who, image=image(who), weak=True, without=off))
