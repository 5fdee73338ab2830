"""Running hostile programs behind the wall, and without it.

An attack is a program of this directory and one of its probes. `attack()` runs it as the command
of `cloister run`, `bare()` runs it on the host: attacks are harmless by construction, so that
each can be seen to work where nothing stops it. Tests run as root; `who='user'` goes through the
ordinary user cloister-test.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lib.account import ORDINARY_USER as USER, ordinary_user as user

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
BUILT = PROJECT / 'build' / 'escape'
CLOISTER = os.environ.get('CLOISTER', str(PROJECT / 'build' / 'bin' / 'cloister'))
WEAK = os.environ.get('CLOISTER_WEAK', str(PROJECT / 'build' / 'bin' / 'cloister-weak'))
BUSYBOX = '/bin/busybox'
# Who starts the sandbox and with which profile. useradd gives the ordinary user the sub-uids that build needs.
WALLS = [('root', 'strict'), ('user', 'strict'), ('root', 'build'), ('user', 'build')]
each_wall = pytest.mark.parametrize('who,profile', WALLS, ids=['-'.join(w) for w in WALLS])
VERDICT = re.compile(r'^(ESCAPED|HELD|ERROR): (.*)$', re.M)


@dataclass
class Outcome:
    """How one run ended. `record` is the result record of cloister, or None."""

    args: list
    code: int
    out: str
    err: str
    record: dict | None = None
    verdicts: list = field(default_factory=list)

    @property
    def verdict(self):
        return self.verdicts[0][0] if self.verdicts else None

    def __str__(self):
        return (f'{" ".join(map(str, self.args))}\n  exit {self.code}\n  stdout {self.out[-600:]!r}\n'
                f'  stderr {self.err[-900:]!r}\n  result {self.record}')

    @property
    def killed_by_filter(self):
        if self.code in (-signal.SIGSYS, 128 + signal.SIGSYS):
            return not self.verdicts
        return False


def held(outcome, *, dies=False):
    """Asserts that the attack was tried and got nowhere; `dies`: or that the filter killed it."""
    if dies and outcome.killed_by_filter:
        return outcome
    assert [word for word, _ in outcome.verdicts] == ['HELD'], f'not held: {outcome}'
    assert outcome.code == 0, f'held, but exit {outcome.code}: {outcome}'
    return outcome


def escaped(outcome):
    """Asserts that the attack works where its layer is off: that it is known to be able to fail."""
    assert [word for word, _ in outcome.verdicts] == ['ESCAPED'], \
        f'the attack does not work without its layer, so it proves nothing: {outcome}'
    return outcome


def scratch(prefix='escape-'):
    """A new directory that everybody may enter, on a disk file system without nosuid and nodev."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir='/var/tmp'))
    path.chmod(0o755)
    return path


def use_copies(place):
    """From here on: the attacks of PLACE/attacks and the cloister of PLACE/bin."""
    global BUILT, CLOISTER, WEAK
    shutil.copytree(BUILT, place / 'attacks')
    (place / 'bin').mkdir()
    beside = Path(CLOISTER).resolve().with_name('cloister-plan')
    helper = beside if beside.exists() else PROJECT / 'build/bin/cloister-plan'
    for source, name in ((CLOISTER, 'cloister'), (WEAK, 'cloister-weak'), (helper, 'cloister-plan')):
        if os.path.exists(source):
            shutil.copy(source, place / 'bin' / name)
    BUILT = place / 'attacks'
    CLOISTER, WEAK = str(place / 'bin/cloister'), str(place / 'bin/cloister-weak')


def _as(who, argv):
    if who == 'root':
        return list(map(str, argv))
    assert who == 'user', who
    user()
    return ['runuser', '-u', USER, '--', *map(str, argv)]


def _finish(argv, done_code, out, err, record=None):
    text_out = out.decode('utf-8', 'replace')
    text_err = err.decode('utf-8', 'replace')
    return Outcome(list(argv), done_code, text_out, text_err, record, VERDICT.findall(text_err))


def end(process):
    """Ends a run with all that it started outside: runuser's child does not die with runuser."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _spawn(argv, *, timeout, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **rest):
    full_env = None if env is None else {**os.environ, **env}
    with subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                          env=full_env, **{'start_new_session': True, **rest}) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            end(process)
            out, err = process.communicate()
            raise AssertionError(f'still running after {timeout} s: {" ".join(map(str, argv))}\n'
                                 f'{err!r}') from None
    return process.returncode, out or b'', err


def options(who='root', without=(), profile='strict', extra=()):
    """The options of a run: an ordinary user goes without limits where no cgroup is theirs."""
    layers = list(without)
    if {'seccomp', 'dumpable'} & set(layers) and 'apparmor' not in layers:
        layers.append('apparmor')  # which forbids the same once more where it is on
    if who == 'user' and 'limits' not in layers and os.environ.get('CLOISTER_DELEGATED') != 'user':
        layers.append('limits')
    result = ['--profile', profile]
    for layer in layers:
        result += ['--without', layer]
    return [*result, *map(str, extra)]


def run(args, *, as_user=None, weak=False, timeout=30, **rest):
    """`cloister run ARGS` with a result record; as_user is None for root or the user's name."""
    binary = WEAK if weak else CLOISTER
    if not os.path.exists(binary):
        raise AssertionError(f'{binary} is missing: build it first (make)')
    who = 'root' if as_user is None else 'user'
    folder = Path(tempfile.mkdtemp(prefix='escape-result-'))
    try:
        if as_user is not None:
            os.chown(folder, user().pw_uid, user().pw_gid)
        result = folder / 'result.json'
        argv = _as(who, [binary, 'run', '--result', result, *args])
        code, out, err = _spawn(argv, timeout=timeout, **rest)
        record = json.loads(result.read_text()) if result.exists() else None
        return _finish(argv, code, out, err, record)
    finally:
        shutil.rmtree(folder)


def attack(program, *args, image, who='root', profile='strict', without=(), weak=False, extra=(),
           at='/attack', **rest):
    """The attack as the sandboxed command of an image that holds the programs in `at`."""
    line = [*options(who, without, profile, extra), image, '--', f'{at}/{program}', *map(str, args)]
    return run(line, as_user=None if who == 'root' else USER, weak=weak, **rest)


def bare(program, *args, who='root', inside=(), timeout=30, **rest):
    """The attack with no wall; `inside` is a command that starts it, such as unshare with flags."""
    argv = _as(who, [*inside, BUILT / program, *map(str, args)])
    code, out, err = _spawn(argv, timeout=timeout, **rest)
    return _finish(argv, code, out, err)


def chrooted(root, program, *args, before=(), timeout=30, **rest):
    """The attack under chroot alone, which is what a tree without a wall would be run in."""
    argv = [*before, 'chroot', str(root), f'/attack/{program}', *map(str, args)]
    return _finish(argv, *_spawn(argv, timeout=timeout, **rest))


def tree(where=None, owner=None):
    """A minimal root file system: static busybox with its applets hard linked, and the attacks.

    `owner` is a passwd entry whose tree it shall be; root's otherwise.
    """
    root = Path(where) if where else scratch('escape-root-')
    for name in ('bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'attack', 'open', 'vol', 'usr', 'var/tmp',
                 'run', 'root', 'home'):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o755)
    (root / 'tmp').chmod(0o1777)
    (root / 'var/tmp').chmod(0o1777)
    (root / 'open').chmod(0o777)
    shutil.copy(BUSYBOX, root / 'bin/busybox')
    (root / 'bin/busybox').chmod(0o755)
    for applet in ('sh', 'true', 'cat', 'ls', 'sleep', 'id', 'echo', 'env', 'mount', 'test', 'stat'):
        if not (root / 'bin' / applet).exists():
            os.link(root / 'bin/busybox', root / 'bin' / applet)
    for program in BUILT.iterdir():
        if '.' not in program.name:
            shutil.copy(program, root / 'attack' / program.name)
            (root / 'attack' / program.name).chmod(0o755)
    (root / 'etc/passwd').write_text('root:x:0:0::/:/bin/sh\n')
    (root / 'etc/group').write_text('root:x:0:\n')
    if owner:
        for path in [root, *root.rglob('*')]:
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    return root


def image(root):
    return f'rootfs:{root}'


def snapshot(root):
    """What a tree looks like: for showing that nothing in it was changed."""
    rows = {}
    for path in sorted([Path(root), *Path(root).rglob('*')]):
        st = path.lstat()
        rows[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_rdev,
                           os.readlink(path) if path.is_symlink() else None)
    return rows


def host_mounts():
    """The host's mount points, as (place, file system)."""
    lines = Path('/proc/self/mountinfo').read_text().splitlines()
    return sorted((line.split()[4], line.split(' - ')[1]) for line in lines)


def syscall(number, *args):
    """A raw system call of the test's own, for what Python doesn't offer."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
