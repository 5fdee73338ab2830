"""Running hostile programs as an engine has them run: as the process of a container that cloister-oci makes
from the engine's own bundle.

A front is such a bundle: Docker's default; that with what annotations raise; that with Docker's user
namespace for all containers (userns-remap); that of an ordinary user's Podman which gives each container a
user namespace (--userns=auto); and what that makes by default: the runtime is root of Podman's own user
namespace, which the container shares.
"""

import os
import re
import shutil
import subprocess

import wall
from lib.oci_bundle import CAPABILITIES
from lib.runner import text

# What Podman's default has of Docker's.
PODMAN = [name for name in CAPABILITIES if name not in ('CAP_MKNOD', 'CAP_NET_RAW', 'CAP_AUDIT_WRITE')]
FIRST_REMAPPED, REMAPPED = 200000, 65536


def _remap(bundle):
    bundle.map_ids(FIRST_REMAPPED, FIRST_REMAPPED, REMAPPED)


def _podman(bundle):
    bundle.namespace('cgroup')
    bundle.capabilities(**{kind: PODMAN for kind in ('bounding', 'effective', 'permitted')})


def _rootless(bundle):
    _podman(bundle)
    bundle.without_namespace('user')
    del bundle.linux['uidMappings'], bundle.linux['gidMappings']


class PodmansNamespace:
    """A user namespace and a mount namespace of the ordinary user's, in which a runtime may be called."""

    def __init__(self, runtime):
        words = [*runtime.prefix(), 'unshare', '--user', '--map-root-user', '--map-auto', '--mount',
                 'sh', '-c', 'echo ready; exec sleep 100000']
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=runtime.environment(), cwd='/')
        assert self.process.stdout.readline() == b'ready\n'

    def prefix(self):
        return ['nsenter', '-t', str(self.process.pid), '--user', '--mount', '--setuid', '0', '--setgid', '0', '--']

    def leave(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# name: (who calls the runtime, what is done to Docker's default)
FRONTS = {
    'docker': ('root', lambda bundle: None),
    'landlock': ('root', lambda bundle: bundle.annotate(run_cloister_landlock='on')),
    'strict': ('root', lambda bundle: bundle.annotate(run_cloister_seccomp='strict')),
    'remap': ('root', _remap),
    'podman': ('user', _podman),
    'rootless': ('user', _rootless),
}


class Front:
    """Containers of one front that have one tree. `owner` is who root inside is outside."""

    def __init__(self, name, runtime, tree):
        self.name, self.runtime, self.tree = name, runtime, tree
        self.change = FRONTS[name][1]
        self.owner = FIRST_REMAPPED if name == 'remap' else runtime.uid
        runtime.tree = tree

    def bundle(self, *command):
        bundle = self.runtime.bundle().args(*command)
        self.change(bundle)
        return bundle

    def attack(self, program, *args, change=None, at='/attack', **popen):
        """The attack as the container's process; `change` is done to the bundle before."""
        bundle = self.bundle(f'{at}/{program}', *args)
        if change:
            change(bundle)
        return judged(self.runtime.run(bundle, **popen))

    def attacks(self, lines, change=None, at='/attack', **popen):
        """Many, one after the other, of one container whose first process is a shell: the outcome of each."""
        bundle = self.bundle('/bin/sh', '-c', ''.join(f'{at}/{line}; echo "exit $?" >&2\n' for line in lines))
        if change:
            change(bundle)
        done = self.runtime.run(bundle, **popen).ok()
        parts = re.findall(r'(.*?)^exit (\d+)\n', text(done.err), re.M | re.S)
        assert len(parts) == len(lines), f'{done}'
        return [wall.Outcome([line], int(code), '', said, None, wall.VERDICT.findall(said))
                for line, (said, code) in zip(lines, parts)]

    def give(self, *paths):
        """Makes root inside the owner of paths of the host."""
        for path in paths:
            os.chown(path, self.owner, self.owner, follow_symlinks=False)


class Trees:
    """Trees for each front, which root inside owns."""

    def __init__(self):
        self.made, self.namespace, self.within = {}, None, []

    def front(self, name, make_runtime, neighbour=0):
        """One that has the tree of the others of that name, or of the neighbour of that number."""
        runtime, key = make_runtime(FRONTS[name][0]), (name, neighbour)
        if name == 'rootless':
            self.namespace = self.namespace or PodmansNamespace(runtime)
            runtime.prefix = self.namespace.prefix
            self.within.append(runtime)
        if key in self.made:
            return Front(name, runtime, self.made[key])
        made = Front(name, runtime, wall.tree())
        self.made[key] = made.tree
        made.give(made.tree, *made.tree.rglob('*'))
        return made

    def leave(self):
        """Podman's namespace, and before that its containers."""
        for runtime in self.within:
            runtime.remove_all()
        if self.namespace:
            self.namespace.leave()
        self.namespace, self.within = None, []

    def remove(self):
        for tree in self.made.values():
            shutil.rmtree(tree)


def judged(done):
    """An outcome of lib/runner.py, as the tests of the wall judge it."""
    return wall._finish(done.argv, done.exit, done.out, done.err)


def ended(container):
    """The same of a lib/oci.py container that ends by itself."""
    code = container.wait()
    return wall.Outcome(container.running.argv, code, text(container.out), text(container.err), None,
                        wall.VERDICT.findall(text(container.err)))
