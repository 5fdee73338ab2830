"""Attacks through files: /proc and /sys, devices, what is read-only, what is the host's."""

import os
import shutil
import socket
import stat
import subprocess

import pytest

import wall

each_wall = wall.each_wall

# For writing: what changes the host's kernel. Only opened, never written.
WRITABLE = ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/kernel/hotplug',
            '/proc/sys/kernel/hostname', '/proc/sys/kernel/domainname', '/proc/sys/kernel/panic',
            '/proc/sys/kernel/ns_last_pid', '/proc/sys/kernel/shmmax', '/proc/sys/kernel/msgmax',
            '/proc/sys/kernel/sem', '/proc/sys/fs/mqueue/queues_max', '/proc/sys/fs/suid_dumpable',
            '/proc/sys/fs/binfmt_misc/register', '/proc/sys/vm/drop_caches',
            '/proc/sys/vm/overcommit_memory', '/proc/sys/net/ipv4/ip_forward',
            '/proc/sys/net/ipv4/ping_group_range', '/proc/sys/net/core/somaxconn',
            '/proc/sys/user/max_user_namespaces', '/proc/sysrq-trigger', '/proc/mtrr',
            '/proc/pressure/cpu', '/proc/pressure/io', '/proc/pressure/memory',
            '/proc/irq/default_smp_affinity', '/proc/1/oom_score_adj', '/proc/1/clear_refs',
            '/proc/1/uid_map', '/proc/1/comm', '/proc/1/sched',
            '/proc/1/setgroups', '/proc/1/timens_offsets', '/sys/kernel/uevent_helper',
            '/sys/kernel/profiling', '/sys/kernel/mm/ksm/run',
            '/sys/kernel/mm/transparent_hugepage/enabled', '/sys/module/kernel/parameters/panic',
            '/sys/power/state', '/sys/fs/cgroup/memory/release_agent',
            '/sys/fs/cgroup/pids/release_agent', '/dev/kmsg', '/dev/mem', '/dev/kvm', '/dev/fuse',
            '/dev/loop0', '/dev/loop-control', '/dev/net/tun', '/dev/tty0',
            '/dev/console', '/dev/vhost-net', '/dev/userfaultfd', '/dev/autofs', '/dev/hpet',
            '/dev/port', '/dev/nvram', '/dev/snapshot', '/dev/uinput', '/dev/dri/card0']
# For reading: what tells about the host or its other users.
READABLE = ['/proc/kcore', '/proc/keys', '/dev/loop0', '/proc/timer_list', '/proc/timer_stats',
            '/proc/sched_debug', '/proc/latency_stats', '/proc/kmsg', '/proc/kpagecount',
            '/proc/kpageflags', '/proc/kpagecgroup', '/proc/slabinfo',
            '/proc/vmallocinfo', '/proc/pagetypeinfo', '/proc/acpi', '/proc/scsi', '/proc/asound',
            '/proc/locks', '/proc/diskstats', '/proc/pressure', '/proc/bus', '/proc/fs', '/proc/irq',
            '/sys/firmware', '/sys/kernel', '/sys/devices/virtual/powercap', '/sys/class/net',
            '/sys/class/dmi/id/product_uuid', '/sys/block', '/sys/module', '/sys/fs/cgroup/memory',
            '/sys/devices/system/cpu/vulnerabilities', '/sys/hypervisor', '/dev/kmsg']
# Not in the list, because procfs tells it to everybody and it opens no door: modules, swaps, dma,
# partitions, buddyinfo, crypto, interrupts, iomem and ioports and kallsyms (their addresses are zero without privilege), config.gz,
# the boot id, sysvipc (of our own namespace).


def _has_capability(number):
    with open('/proc/self/status', encoding='utf-8') as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith('CapEff'))
    return bool(mask >> number & 1)


def _proof(outcome, path):
    """On the host the same file opens; a file that this kernel lacks proves nothing."""
    if not os.path.lexists(path):
        pytest.skip(f'this host has no {path}')
    if path == '/proc/sys/user/max_user_namespaces' and not _has_capability(24):
        pytest.skip('this root lacks CAP_SYS_RESOURCE')
    if any(reason in outcome.err for reason in ('No such device', 'gives nothing', 'is empty',
                                                'Device or resource busy')):
        pytest.skip(f'{path} is dead on this host: {outcome.err.strip()}')
    wall.escaped(outcome)


@each_wall
@pytest.mark.parametrize('path', WRITABLE)
def test_kernel_file_cannot_be_written(image, who, profile, path):
    wall.held(wall.attack('open_path', 'write', path, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('path', WRITABLE)
def test_kernel_file_can_be_opened_for_writing_by_root(path):
    _proof(wall.bare('open_path', 'write', path), path)


@each_wall
@pytest.mark.parametrize('path', READABLE)
def test_kernel_file_cannot_be_read(image, who, profile, path):
    wall.held(wall.attack('open_path', 'read', path, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('path', READABLE)
def test_kernel_file_can_be_read_by_root(path):
    _proof(wall.bare('open_path', 'read', path), path)


TREES = ['/proc/sys', '/sys', '/proc/irq', '/proc/bus', '/proc/fs', '/proc']


@each_wall
@pytest.mark.parametrize('path', TREES)
def test_nothing_below_can_be_written(image, who, profile, path):
    wall.held(wall.attack('open_path', 'any_writable', path, image=image(who), who=who,
                          profile=profile))


@pytest.mark.parametrize('path', TREES)
def test_things_below_can_be_written_by_root(path):
    outcome = wall.bare('open_path', 'any_writable', path)
    if 'none of 0 entries' in outcome.err:
        pytest.skip(f'there is nothing below {path}')
    wall.escaped(outcome)


@pytest.mark.parametrize('path', ['/proc/sys/net/ipv4/ping_group_range',
                                  '/proc/sys/kernel/msgmax'])
def test_sysctl_can_be_written_without_its_layers(image, path):
    """Root of the sandbox's own namespaces may set their sysctls, unless /proc/sys is read-only. (The
    host name's file belongs to the host's root also in a namespace of its own: user_namespaces(7).)"""
    wall.escaped(wall.attack('open_path', 'write', path, image=image('root'), profile='build',
                             weak=True, without=['procmask', 'landlock', 'capabilities', 'readonly']))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_keys_can_be_read_without_the_masks(image, who):
    """Its own session keyring at the least: the layer `keyring` is up, so that there is one."""
    wall.escaped(wall.attack('open_path', 'read', '/proc/keys', image=image(who), who=who, weak=True,
                             without=['procmask', 'landlock']))


# Devices -------------------------------------------------------------------------------------

@each_wall
@pytest.mark.parametrize('probe', ['dev_contents', 'dev_numbers', 'make_char', 'make_block',
                                   'change_mode', 'new_in_dev'])
def test_dev_is_harmless(image, who, profile, probe):
    wall.held(wall.attack('devices', probe, image=image(who), who=who, profile=profile))


@pytest.mark.parametrize('probe', ['dev_contents', 'make_char', 'make_block', 'change_mode',
                                   'new_in_dev'])
def test_dev_is_not_harmless_on_the_host(probe):
    wall.escaped(wall.bare('devices', probe))


def test_dev_numbers_are_checked(own_tree):
    """The probe sees a node that is not what its name says."""
    for name, number in (('null', (1, 5)), ('zero', (1, 5)), ('full', (1, 7)), ('random', (1, 8)),
                         ('urandom', (1, 9)), ('tty', (5, 0))):
        os.mknod(own_tree / 'dev' / name, stat.S_IFCHR | 0o666, os.makedev(*number))
    wall.escaped(wall.chrooted(own_tree, 'devices', 'dev_numbers'))


@pytest.fixture
def device_tree(own_tree):
    """A tree with device nodes for everybody, and soft and hard links to them."""
    where = own_tree / 'etc'
    os.mknod(where / 'log', stat.S_IFCHR | 0o666, os.makedev(1, 11))
    os.mknod(where / 'disk', stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mknod(where / 'void', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    for name in ('log', 'disk', 'void'):
        os.chmod(where / name, 0o666)
        os.link(where / name, where / f'{name}-hard')
        os.symlink(f'/etc/{name}', where / f'{name}-soft')
    shutil.rmtree(own_tree / 'dev')
    (own_tree / 'dev').mkdir()
    os.link(where / 'log', own_tree / 'dev/kmsg')
    os.link(where / 'log', own_tree / 'dev/null')
    return own_tree


NODES = [f'/etc/{name}{kind}' for name in ('log', 'disk', 'void') for kind in ('', '-hard', '-soft')]


@each_wall
@pytest.mark.parametrize('path', [*NODES, '/dev/kmsg'])
def test_device_of_the_image_does_not_open(device_tree, who, profile, path):
    wall.held(wall.attack('open_path', 'node', path, image=wall.image(device_tree), who=who,
                          profile=profile))


@each_wall
def test_dev_of_the_image_is_covered(device_tree, who, profile):
    wall.held(wall.attack('devices', 'dev_numbers', image=wall.image(device_tree), who=who,
                          profile=profile))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('mode', ['ro', 'copy'])
@pytest.mark.parametrize('path', ['log', 'disk', 'void-hard', 'log-soft'])
def test_device_of_a_volume_does_not_open(image, device_tree, who, mode, path):
    source = device_tree / 'etc'
    wall.held(wall.attack('open_path', 'node', f'/vol/{path}', image=image(who), who=who,
                          extra=['-v', f'{source}:/vol:{mode}']))


@pytest.mark.parametrize('path', NODES)
def test_device_of_the_image_opens_in_a_mere_chroot(device_tree, path):
    wall.escaped(wall.chrooted(device_tree, 'open_path', 'node', path))


@pytest.mark.parametrize('path', ['/etc/void', '/etc/void-hard', '/etc/void-soft'])
def test_device_of_the_image_opens_without_its_layer(device_tree, path):
    """`nosuid` is the layer of the mounts' nodev too."""
    wall.escaped(wall.attack('open_path', 'node', path, image=wall.image(device_tree), weak=True,
                             without=['nosuid', 'landlock']))


WHITEOUTS = ['whiteout_mknod', 'whiteout_rename', 'whiteout_high_bits']


@pytest.fixture
def open_volume(programs):
    """A directory of the ordinary user's: in root mode too the sandbox's user is its owner."""
    path = wall.scratch('escape-volume-')
    os.chown(path, wall.user().pw_uid, wall.user().pw_gid)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def allow_all(programs):
    """A --seccomp profile that refuses nothing."""
    folder = wall.scratch('escape-profile-')
    (folder / 'all.json').write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    yield folder / 'all.json'
    shutil.rmtree(folder)


@each_wall
@pytest.mark.parametrize('place', ['/tmp', '/vol'])
@pytest.mark.parametrize('probe', WHITEOUTS)
def test_no_whiteout_is_made(image, open_volume, who, profile, probe, place):
    wall.held(wall.attack('devices', probe, place, image=image(who), who=who, profile=profile,
                          extra=['-v', f'{open_volume}:/vol:rw']))


@each_wall
@pytest.mark.parametrize('probe', WHITEOUTS)
def test_no_profile_lets_whiteouts_into_a_volume(image, open_volume, allow_all, who, profile, probe):
    wall.held(wall.attack('devices', probe, '/vol', image=image(who), who=who, profile=profile,
                          extra=['-v', f'{open_volume}:/vol:rw', '--seccomp', allow_all]))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', WHITEOUTS)
def test_whiteout_is_made_without_the_filter(image, open_volume, who, probe):
    """Landlock refuses device nodes to mknod, but not to rename."""
    without = ['seccomp', 'landlock'] if probe == 'whiteout_mknod' else ['seccomp']
    wall.escaped(wall.attack('devices', probe, '/vol', image=image(who), who=who, weak=True,
                             without=without, extra=['-v', f'{open_volume}:/vol:rw']))


# Read-only -----------------------------------------------------------------------------------

REMOUNTS = ['remount', 'remount_super', 'setattr', 'umount', 'rebind', 'share']


@each_wall
@pytest.mark.parametrize('place', ['/', '/vol', '/proc', '/proc/sys', '/dev', '/sys'])
@pytest.mark.parametrize('probe', REMOUNTS)
def test_mount_cannot_be_changed(image, outside, who, profile, probe, place):
    wall.held(wall.attack('readonly', probe, place, image=image(who), who=who, profile=profile,
                          extra=['-v', f'{outside}:/vol:ro']), dies=True)


@pytest.mark.parametrize('probe', [p for p in REMOUNTS if p != 'remount_super'])
def test_mount_can_be_changed_by_who_made_it(outside, probe):
    script = f'mount --bind {outside} {outside} && mount -o remount,bind,ro {outside} && exec "$0" "$@"'
    wall.escaped(wall.bare('readonly', probe, outside, who='user',
                           inside=['unshare', '-Urm', 'sh', '-c', script]))


def test_super_block_can_be_changed_by_root_of_the_host(outside):
    """Of a file system that a namespace did not make, nobody else may."""
    script = f'mount -t tmpfs -o ro none {outside} && exec "$0" "$@"'
    wall.escaped(wall.bare('readonly', 'remount_super', outside, inside=['unshare', '-m', 'sh', '-c', script]))


@pytest.mark.parametrize('probe', [p for p in REMOUNTS if p != 'remount_super'])
def test_mount_can_be_changed_without_the_layers(image, outside, probe):
    """Root inside with all its capabilities and no filter: nothing else keeps a volume read-only, for
    what is attached inside is not locked as what a new namespace inherits."""
    outcome = wall.attack('readonly', probe, '/vol', image=image('root'), profile='build',
                          weak=True, without=['capabilities', 'seccomp', 'landlock', 'securebits'],
                          extra=['-v', f'{outside}:/vol:ro'])
    wall.escaped(outcome)


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('path', ['/planted', '/open/planted', '/bin/planted', '/etc/planted',
                                  '/proc/planted', '/sys/planted', '/vol/planted'])
def test_read_only_places_take_no_file(image, outside, who, path):
    outside.chmod(0o777)
    wall.held(wall.attack('open_path', 'create', path, image=image(who), who=who,
                          extra=['-v', f'{outside}:/vol:ro']))
    assert os.listdir(outside) == ['host-marker-4711']


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('path', ['/bin/busybox', '/attack/open_path', '/etc/passwd'])
def test_image_files_cannot_be_written(image, who, path):
    wall.held(wall.attack('open_path', 'write', path, image=image(who), who=who))


def test_open_directory_takes_a_file_without_readonly(own_tree):
    wall.escaped(wall.attack('open_path', 'create', '/open/planted', image=wall.image(own_tree),
                             weak=True, without=['readonly', 'landlock']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('name', ['tmp', 'var/tmp'])
def test_link_of_the_image_opens_no_volume(own_tree, outside, who, name):
    """The image's /tmp leads to where a read-only volume comes: Landlock by itself must not let the
    sandbox write there, as it does in /tmp."""
    (own_tree / name).rmdir()
    (own_tree / name).symlink_to('/vol')
    for path in (outside, *((own_tree, *own_tree.rglob('*')) if who == 'user' else ())):
        os.chown(path, wall.user().pw_uid, wall.user().pw_gid, follow_symlinks=False)
    for place in (f'/{name}/planted', '/vol/planted'):
        for without, verdict in (((), wall.held), (('readonly',), wall.held),
                                 (('readonly', 'landlock'), wall.escaped)):
            (outside / 'planted').unlink(missing_ok=True)
            verdict(wall.attack('open_path', 'create', place, image=wall.image(own_tree), who=who,
                                weak=bool(without), without=without, extra=['-v', f'{outside}:/vol:ro']))


@each_wall
def test_image_is_never_changed(own_tree, who, profile):
    """Copy-on-write or read-only: the tree on the host stays what it was, mount points included."""
    if who == 'user':
        for path in [own_tree, *own_tree.rglob('*')]:
            os.chown(path, wall.user().pw_uid, wall.user().pw_gid, follow_symlinks=False)
    for name in ('vol', 'run', 'sys', 'dev', 'proc'):
        (own_tree / name).rmdir()
    before = wall.snapshot(own_tree)
    script = ('for d in / /open /bin /etc /tmp /var/tmp /new; do echo x >$d/planted; done; '
              'rm -rf /etc /open; chmod 777 /bin; echo x >>/bin/busybox; mkdir /new; true')
    outcome = wall.run([*wall.options(who, (), profile), wall.image(own_tree), '--', '/bin/sh', '-c',
                        script], as_user=None if who == 'root' else wall.USER)
    assert wall.snapshot(own_tree) == before, outcome
    assert outcome.code == 0, outcome


@each_wall
@pytest.mark.parametrize('probe', ['propagation', 'flags'])
def test_mounts_are_cut_off(image, outside, who, profile, probe):
    wall.held(wall.attack('readonly', probe, image=image(who), who=who, profile=profile,
                          extra=['-v', f'{outside}:/vol:ro', '--tmpfs', '/var/tmp']))


def test_mounts_are_not_cut_off_by_themselves():
    shared = ['unshare', '-m', '--propagation', 'shared']
    wall.escaped(wall.bare('readonly', 'propagation', inside=shared))
    wall.escaped(wall.bare('readonly', 'flags'))


@each_wall
@pytest.mark.parametrize('where', ['tree', 'host'])
def test_nothing_is_above_the_root(image, who, profile, where):
    wall.held(wall.attack('readonly', 'above', image=image(who) if where == 'tree' else 'host', who=who,
                          profile=profile, at='/tmp/attack', extra=['-v', f'{wall.BUILT}:/tmp/attack:ro']))


def test_something_above_the_root_is_seen():
    script = 'mount -t tmpfs none / && exec "$0" "$@"'
    wall.escaped(wall.bare('readonly', 'above', inside=['unshare', '-m', 'sh', '-c', script]))


@each_wall
def test_host_mounts_are_gone(image, who, profile):
    wall.held(wall.attack('readonly', 'host_mounts', '/escape-host-mount', image=image(who), who=who,
                          profile=profile))


def test_host_mounts_are_seen_on_the_host():
    script = ('mkdir -p /tmp/escape-host-mount && mount -t tmpfs none /tmp/escape-host-mount && '
              'exec "$0" "$@"')
    wall.escaped(wall.bare('readonly', 'host_mounts', '/escape-host-mount',
                           inside=['unshare', '-m', 'sh', '-c', script]))
    os.rmdir('/tmp/escape-host-mount')


# The image `host`: a view of this machine that holds nothing private -------------------------

SECRETS = ['/etc/shadow', '/etc/gshadow', '/etc/sudoers', '/etc/ssh', '/etc/machine-id',
           '/etc/ssl/private', '/etc/fstab', '/root', '/home', '/var/lib', '/var/log',
           '/var/tmp', '/srv', '/opt', '/mnt', '/media', '/boot', '/run', '/.dockerenv',
           '/var/run', '/var/spool', '/var/cache', '/lost+found']


@each_wall
@pytest.mark.parametrize('path', SECRETS)
def test_host_image_holds_nothing_private(programs, who, profile, path):
    outcome = wall.attack('open_path', 'read', path, image='host', who=who, profile=profile,
                          at='/tmp/attack', extra=['-v', f'{wall.BUILT}:/tmp/attack:ro'])
    wall.held(outcome)


@pytest.mark.parametrize('path', ['/etc/shadow', '/var/lib', '/var/log'])
def test_private_things_are_read_on_the_host(path):
    _proof(wall.bare('open_path', 'read', path), path)


@pytest.mark.parametrize('who', ['root', 'user'])
def test_marker_of_the_host_is_not_found(programs, outside, image, who):
    for where in ('host', image(who)):
        wall.held(wall.attack('fake_proc', 'find_marker', 'host-marker-4711', image=where, who=who,
                              at='/tmp/attack', extra=['-v', f'{wall.BUILT}:/tmp/attack:ro'],
                              timeout=120))


def test_marker_is_found_where_it_is(own_tree, outside):
    script = f'mount --bind {outside} {own_tree}/vol && exec "$0" "$@"'
    wall.escaped(wall.chrooted(own_tree, 'fake_proc', 'find_marker', 'host-marker-4711',
                               before=['unshare', '-m', 'sh', '-c', script]))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_file_closed_to_strangers_stays_closed_in_host(programs, who):
    """/usr is the host's own: what only root may read there, root's sandbox may not."""
    path = '/usr/local/share/escape-closed'
    with open(path, 'w', encoding='utf-8') as file:
        file.write('closed\n')
    os.chmod(path, 0o600)
    try:
        wall.held(wall.attack('open_path', 'read', path, image='host', who=who, at='/tmp/attack',
                              extra=['-v', f'{wall.BUILT}:/tmp/attack:ro']))
        wall.escaped(wall.bare('open_path', 'read', path))
    finally:
        os.unlink(path)


@each_wall
def test_host_services_socket_is_not_in_the_host_image(programs, who, profile):
    path = '/run/escape.sock'
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        try:
            wall.held(wall.attack('open_path', 'seen', path, image='host', who=who, profile=profile,
                                  at='/tmp/attack', extra=['-v', f'{wall.BUILT}:/tmp/attack:ro']))
            wall.escaped(wall.bare('open_path', 'seen', path, who='user'))
        finally:
            os.unlink(path)


def test_no_mount_is_left_on_the_host(image, outside):
    before = wall.host_mounts()
    wall.attack('fake_proc', 'real_proc', image=image('root'), extra=['-v', f'{outside}:/vol:ro'])
    assert wall.host_mounts() == before
    assert subprocess.run(['mountpoint', '-q', outside], check=False).returncode != 0
