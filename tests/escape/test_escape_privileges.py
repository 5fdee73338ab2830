"""Attacks by privilege: capability sets, set-uid and capability files, uids, limits on cores."""

import os
import resource
import shutil
import subprocess

import pytest

import wall

each_wall = wall.each_wall
# CHOWN DAC_OVERRIDE FOWNER FSETID SETGID SETUID: what the build profile names.
BUILD_CAPABILITIES = f'{1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7:x}'


@each_wall
def test_capability_sets_are_empty_or_named(image, who, profile):
    allowed = [BUILD_CAPABILITIES] if profile == 'build' else []
    wall.held(wall.attack('privileges', 'capability_sets', *allowed, image=image(who), who=who,
                          profile=profile))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe', ['bounding', 'root_inside', 'become_root', 'groups', 'securebits'])
def test_strict_has_no_privilege(image, who, probe):
    wall.held(wall.attack('privileges', probe, image=image(who), who=who))


@each_wall
@pytest.mark.parametrize('probe', ['no_new_privs', 'seccomp_mode', 'core_dump'])
def test_process_is_bound(image, who, profile, probe):
    wall.held(wall.attack('privileges', probe, image=image(who), who=who, profile=profile))


@each_wall
def test_crash_starts_no_program_of_the_host(image, who, profile):
    wall.held(wall.attack('privileges', 'core_helper', image=image(who), who=who, profile=profile))


@pytest.fixture
def allow_all():
    profile = wall.scratch() / 'profile.json'
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    yield profile
    shutil.rmtree(profile.parent)


@each_wall
@pytest.mark.parametrize('probe', ['core_dump', 'core_helper'])
def test_crash_stays_inside_under_a_profile_of_the_users(image, allow_all, who, profile, probe):
    """One that allows setrlimit: the floor under it keeps the limit."""
    wall.held(wall.attack('privileges', probe, image=image(who), who=who, profile=profile,
                          extra=['--seccomp', allow_all]))


@each_wall
def test_init_keeps_its_limits_under_a_profile_of_the_users(image, allow_all, who, profile):
    wall.held(wall.attack('init_access', 'limit', image=image(who), who=who, profile=profile,
                          extra=['--seccomp', allow_all]))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_init_has_no_limits_of_its_own_without_the_filter(image, who):
    wall.escaped(wall.attack('init_access', 'limit', image=image(who), who=who, weak=True,
                             without=['seccomp']))


@pytest.mark.parametrize('probe', ['capability_sets', 'bounding', 'root_inside', 'become_root',
                                   'groups', 'no_new_privs', 'seccomp_mode', 'securebits'])
def test_process_is_not_bound_on_the_host(probe):
    wall.escaped(wall.bare('privileges', probe))


@pytest.fixture
def cores():
    """A hard limit for the tests themselves with which cores can be dumped."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
    except ValueError:
        pytest.skip('the hard limit on core dumps was lowered, and root lacks CAP_SYS_RESOURCE')


@pytest.mark.parametrize('probe', ['core_dump', 'core_helper'])
def test_crash_dumps_core_on_the_host(cores, probe):
    wall.escaped(wall.bare('privileges', probe))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_crash_dumps_core_without_the_layer(image, cores, who):
    wall.escaped(wall.attack('privileges', 'core_dump', image=image(who), who=who, weak=True,
                             without=['rlimits']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('probe,layer', [('bounding', 'capabilities'),
                                         ('no_new_privs', 'no-new-privs'),
                                         ('seccomp_mode', 'seccomp'),
                                         ('securebits', 'securebits')])
def test_process_is_not_bound_without_the_layer(image, who, probe, layer):
    # An unprivileged process can't bind itself without no-new-privs, so these go together.
    off = [layer, 'seccomp', 'landlock'] if layer == 'no-new-privs' else [layer]
    wall.escaped(wall.attack('privileges', probe, image=image(who), who=who, weak=True, without=off))


def test_strict_turns_root_into_an_ordinary_uid(image):
    for ask in ('0', 'root', '0:0'):
        outcome = wall.attack('privileges', 'root_inside', image=image('root'), extra=['-u', ask])
        if outcome.code != 125:  # a group of 0 may be refused instead
            wall.held(outcome)


@pytest.fixture
def privileged_files(own_tree):
    """A tree with set-uid-root, set-gid and capability files, for everybody to execute."""
    source = own_tree / 'attack/privileges'
    for name, mode in (('suid', 0o4755), ('sgid', 0o2755), ('both', 0o6755)):
        shutil.copy(source, own_tree / 'attack' / name)
        (own_tree / 'attack' / name).chmod(mode)
    shutil.copy(source, own_tree / 'attack/capable')
    (own_tree / 'attack/capable').chmod(0o755)
    subprocess.run(['setcap', 'cap_net_raw,cap_sys_admin+ep', own_tree / 'attack/capable'], check=True)
    return own_tree


FILES = [('suid', 'setuid_file'), ('sgid', 'setuid_file'), ('both', 'setuid_file'),
         ('capable', 'capability_file')]


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('name,probe', FILES, ids=[name for name, _ in FILES])
def test_privileged_file_of_the_image_gives_nothing(privileged_files, who, name, probe):
    where = wall.image(privileged_files)
    wall.held(wall.attack(name, probe, image=where, who=who))
    # and started by another program, with the wall's own exec long over
    wall.held(wall.attack('start', f'/attack/{name}', probe, image=where, who=who))


@pytest.mark.parametrize('name,probe', FILES, ids=[name for name, _ in FILES])
def test_privileged_file_gives_nothing_to_an_ordinary_uid_of_build(privileged_files, name, probe):
    wall.held(wall.attack(name, probe, image=wall.image(privileged_files), profile='build',
                          extra=['-u', '1000:1000']))


@pytest.mark.parametrize('who', ['root', 'user'])
@pytest.mark.parametrize('name,probe', FILES, ids=[name for name, _ in FILES])
def test_privileged_file_of_a_volume_gives_nothing(image, privileged_files, who, name, probe):
    volume = f'{privileged_files}/attack:/vol:ro'
    wall.held(wall.attack(name, probe, image=image(who), who=who, at='/vol', extra=['-v', volume]))


@pytest.mark.parametrize('name,probe', FILES, ids=[name for name, _ in FILES])
def test_privileged_file_works_on_the_host(privileged_files, name, probe):
    file = privileged_files / 'attack' / name
    argv = wall._as('user', [file, probe])
    wall.escaped(wall._finish(argv, *wall._spawn(argv, timeout=30)))
    wall.escaped(wall.bare('start', file, probe, who='user'))


@pytest.mark.parametrize('name', ['suid', 'sgid', 'both'])
def test_setuid_file_works_without_its_layers(privileged_files, name):
    for line in ([name], ['start', f'/attack/{name}']):
        wall.escaped(wall.attack(*line, 'setuid_file', image=wall.image(privileged_files), weak=True,
                                 without=['nosuid', 'no-new-privs', 'seccomp', 'landlock',
                                          'capabilities', 'securebits']))


@pytest.mark.parametrize('off', ['nosuid', 'no-new-privs'])
def test_either_layer_alone_stops_setuid_files(privileged_files, off):
    layers = [off, 'seccomp', 'landlock'] if off == 'no-new-privs' else [off]
    wall.held(wall.attack('suid', 'setuid_file', image=wall.image(privileged_files), weak=True,
                          without=layers))


DOORS = ['chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'proc_fd', 'open', 'openat2', 'creat', 'mknod',
         'tmpfile', 'rename', 'capability']


@pytest.fixture
def volume(programs):
    """A directory of the ordinary user's, to be given to a sandbox for writing."""
    path = wall.scratch('escape-volume-')
    os.chown(path, wall.user().pw_uid, wall.user().pw_gid)
    yield path
    shutil.rmtree(path)


def _privileged(path):
    """What on the host would give its owner's rights away, or is root's."""
    bad = []
    for found in path.rglob('*'):
        st = found.lstat()
        if st.st_mode & 0o6000 or st.st_uid == 0 or 'security.capability' in os.listxattr(found):
            bad.append((found.name, oct(st.st_mode), st.st_uid))
    return bad


@each_wall
@pytest.mark.parametrize('door', DOORS)
def test_no_setuid_file_through_a_volume(image, volume, who, profile, door):
    outcome = wall.attack('volume_setuid', door, '/vol', image=image(who), who=who, profile=profile,
                          extra=['-v', f'{volume}:/vol:rw', '-e', 'TMPDIR=/vol'])
    assert not _privileged(volume), f'{_privileged(volume)} on the host: {outcome}'
    wall.held(outcome, dies=True)


@pytest.mark.parametrize('door', DOORS)
def test_setuid_file_can_be_made_on_the_host(volume, door):
    who = 'root' if door == 'capability' else 'user'
    (volume / 'made').mkdir()
    (volume / 'beside').mkdir()
    for name in ('made', 'beside'):
        os.chown(volume / name, wall.user().pw_uid, wall.user().pw_gid)
    wall.escaped(wall.bare('volume_setuid', door, volume / 'made', who=who,
                           env={'TMPDIR': str(volume / 'beside')}))
    assert _privileged(volume / 'made')


@pytest.mark.parametrize('who', ['root', 'user'])
def test_no_setuid_file_through_a_volume_with_a_profile(image, volume, who, tmp_path):
    """Who widens the list of calls doesn't ask for set-uid files of the volume's owner on the host."""
    profile = tmp_path / 'profile.json'
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}')
    for path in (profile, *list(profile.parents)[:-2]):  # below /tmp
        path.chmod(0o755)
    outcome = wall.attack('volume_setuid', 'chmod', '/vol', image=image(who), who=who,
                          extra=['-v', f'{volume}:/vol:rw', '--seccomp', profile])
    assert outcome.verdicts, f'it did not run: {outcome}'
    assert not _privileged(volume), f'{_privileged(volume)} on the host: {outcome}'


@pytest.mark.parametrize('door', [d for d in DOORS if d != 'capability'])  # which takes CAP_SETFCAP
def test_setuid_file_can_be_made_without_its_layer(image, volume, door):
    wall.escaped(wall.attack('volume_setuid', door, '/vol', image=image('user'), who='user', weak=True,
                             without=['seccomp'], extra=['-v', f'{volume}:/vol:rw', '-e', 'TMPDIR=/vol']))
    assert _privileged(volume)


def test_rw_volume_of_root_is_refused(image, outside):
    outcome = wall.attack('open_path', 'create', '/vol/planted', image=image('root'),
                          extra=['-v', f'{outside}:/vol:rw'])
    assert outcome.code == 125, outcome
    assert 'copy' in outcome.err or 'chown' in outcome.err, outcome
    assert os.listdir(outside) == ['host-marker-4711']


def test_rw_volume_files_belong_to_its_owner(image, volume):
    """The write itself works: the attacks above met a volume that can be written."""
    outcome = wall.attack('open_path', 'create', '/vol/made', image=image('root'),
                          extra=['-v', f'{volume}:/vol:rw'])
    wall.escaped(outcome)
    assert (volume / 'made').stat().st_uid == wall.user().pw_uid
