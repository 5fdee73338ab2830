"""The other engines, each with a directory of its own, which the loopback registries serve too.

    with Podman(directory) as podman:
        description = podman.pull(registry, "127.0.0.1:5000/some/name:latest").describe(...)

What makes them leave the host alone: engines' state is below `directory`, their locks and
networks too, their mounts go with a mount namespace of their own. All need root.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

from lib import trees
from lib.service import Service
from lib.world import command

SLOW = 300  # seconds that pulls and pushes of a real image may take
DOCKER, DOCKERD = "/usr/bin/docker", "/usr/sbin/dockerd"  # Debian's: another client may come first on PATH
PODMAN_CONF = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
[network]
network_config_dir = "{directory}/networks"
"""


def environment(home, **more):
    """Of an engine whose own files are below home."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8", **more}


def write_podman_conf(directory):
    path = Path(directory) / "containers.conf"
    path.write_text(PODMAN_CONF.format(directory=directory))
    return path


def tls_flags(registry, prefix=""):
    """skopeo's and podman's options for talking to a registry: plain, or trusting its CA."""
    if registry.ca is None:
        return [f"--{prefix}tls-verify=false"]
    directory = Path(registry.ca).parent / "trusted"  # of the CA alone: these options take every key there for a client's
    directory.mkdir(exist_ok=True)
    shutil.copy(registry.ca, directory / "ca.crt")
    return [f"--{prefix}cert-dir={directory}"]


def skopeo_copy(source, destination, home, registry=None, creds=None, options=()):
    """skopeo copy; registry: the one that a docker:// side of it names."""
    words = ["skopeo", "copy", "-q", *options]
    for side, name in (("src-", source), ("dest-", destination)):
        if str(name).startswith("docker://") and registry is not None:
            words += tls_flags(registry, side) + ([f"--{side}creds", creds] if creds else [])
    return command(*words, source, destination, env=environment(home), timeout=SLOW)


def _overlay_layers(inspected):
    """The layers' directories, the topmost first, from what podman's and docker's `image inspect` say."""
    data = json.loads(inspected)[0]["GraphDriver"]["Data"]
    return [Path(path) for path in [data["UpperDir"], *data.get("LowerDir", "").split(":")] if path]


class Podman:
    """Podman with storage of its own."""

    def __init__(self, directory, driver="overlay"):
        self.directory, self.driver = Path(directory), driver
        self.directory.mkdir(parents=True, exist_ok=True)
        self.run = Path(tempfile.mkdtemp(prefix="cloister-podman-", dir="/var/tmp"))  # at most 50 characters, says podman
        write_podman_conf(self.directory)

    def argv(self, *words):
        flags = ["--root", self.directory / "root", "--runroot", self.run, "--tmpdir", self.run / "tmp", "--storage-driver", self.driver]
        return ["unshare", "-m", "podman", *flags, *words]

    @property
    def env(self):
        return environment(self.directory, CONTAINERS_CONF=str(self.directory / "containers.conf"), TMPDIR=str(self.directory))

    def call(self, *words, timeout=SLOW):
        return command(*self.argv(*words), env=self.env, timeout=timeout)

    def pull(self, registry, name, creds=None):
        self.call("pull", "-q", *tls_flags(registry), *(["--creds", creds] if creds else []), name)
        return self

    def push(self, registry, name, target, creds=None, options=()):
        self.call("push", "-q", *tls_flags(registry), *(["--creds", creds] if creds else []), *options, name, f"docker://{target}")

    def load(self, path):
        """podman load of an archive; the name or id that it got."""
        return self.call("load", "-q", "-i", path).strip().rpartition(" ")[2]

    def save(self, name, path, form="docker-archive"):
        self.call("save", "-q", "--format", form, "-o", path, name)
        return path

    def layer_directories(self, name):
        """Of the overlay driver, the topmost first; of vfs the whole tree alone."""
        if self.driver == "vfs":
            images = json.loads((self.directory / "root/vfs-images/images.json").read_text())
            return [self.directory / "root/vfs/dir" / next(image["layer"] for image in images if name in image["names"])]
        return _overlay_layers(self.call("image", "inspect", name))

    def describe(self, name, content=True):
        """The image's tree, entry by entry: see lib/trees.py."""
        return trees.describe_overlay(self.layer_directories(name), content=content)

    def remove(self):
        """Everything that it has stored."""
        for path in (self.directory, self.run):
            shutil.rmtree(path, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Dockerd:
    """dockerd without networks, in a mount namespace of its own, or in that of the words that come before it."""

    def __init__(self, directory, registries=(), flags=(), prefix=None):
        """registries: those with a CA, which dockerd has to trust. (It takes any loopback registry without TLS.)"""
        self.directory = place = Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        self.socket = place / "docker.sock"
        self.env = environment(place, DOCKER_HOST=f"unix://{self.socket}")
        self.flags = ["--data-root", place / "data", "--exec-root", place / "exec", "-H", f"unix://{self.socket}", "-p", place / "docker.pid",
                      "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "overlay2", *flags]
        self.prefix = prefix or ["unshare", "-m", "sh", "-c", DOCKERD_VIEW, "dockerd", _docker_certificates(place / "certs.d", registries)]
        self.begin()

    def begin(self):
        self.service = Service([DOCKERD, *self.flags], self.directory / "log", env=environment(self.directory), prefix=self.prefix)
        self.service.expect("API listen on")

    def call(self, *words, timeout=SLOW):
        return command(DOCKER, *words, env=self.env, timeout=timeout)

    def pull(self, name):
        self.call("pull", "-q", name)
        return self

    def push(self, name):
        self.call("push", "-q", name)

    def load(self, path):
        return self.call("load", "-q", "-i", path)

    def save(self, name, path):
        """docker save: a docker-archive."""
        self.call("save", "-o", path, name)
        return path

    def layer_directories(self, name):
        return _overlay_layers(self.call("image", "inspect", name))

    def describe(self, name, content=True):
        return trees.describe_overlay(self.layer_directories(name), content=content)

    def stop(self):
        self.service.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# What dockerd and its containerd have in one place for the whole machine: certificates, sockets, plugins.
DOCKERD_VIEW = 'mount -t tmpfs run /run; mount -t tmpfs opt /opt; mount --bind "$1" /etc/docker; shift; exec "$@"'


def _docker_certificates(place, registries):
    place.mkdir(exist_ok=True)
    for registry in registries:
        directory = place / "certs.d" / registry.address
        directory.mkdir(parents=True)
        shutil.copy(registry.ca, directory / "ca.crt")
    return place


class Containerd:
    """containerd and its ctr: Debian's 1.6, or 2 of lib/go_engines.py; its mount namespace as Dockerd's."""

    def __init__(self, directory, programs="/usr/bin", prefix=("unshare", "-m"), shims=None, more=()):
        """MORE is in its environment."""
        self.directory = place = Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        self.programs, self.socket = Path(programs), place / "containerd.sock"
        version = 3 if self.programs != Path("/usr/bin") else 2
        self.config, self.prefix = place / "config.toml", prefix
        self.config.write_text(f'version = {version}\nroot = "{place}/root"\nstate = "{place}/state"\n[grpc]\naddress = "{self.socket}"\n'
                          f'[plugins."io.containerd.internal.v1.opt"]\npath = "{place}/opt"\n')
        self.env = environment(place, **dict(more))
        if shims is not None:
            self.env["PATH"] = f"{shims}:{self.env['PATH']}"
        self.begin()

    def begin(self):
        self.service = Service([self.programs / "containerd", "--config", self.config], self.directory / "log", env=self.env, prefix=self.prefix)
        self.service.expect("containerd successfully booted")

    def argv(self, *words):
        return [self.programs / "ctr", "--address", self.socket, *words]

    def call(self, *words, timeout=SLOW):
        return command(*self.argv(*words), env=self.env, timeout=timeout)

    def pull(self, registry, name):
        """From a registry without TLS: to ctr, the loopback interface has no other."""
        assert registry.ca is None, "ctr takes no TLS from the loopback interface"
        self.call("images", "pull", "--plain-http", "--snapshotter", "overlayfs", name)
        return self

    def load(self, path):
        """An OCI archive."""
        self.call("images", "import", "--snapshotter", "overlayfs", path)

    def stop(self):
        self.service.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
