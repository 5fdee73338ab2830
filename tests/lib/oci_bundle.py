"""Bundles as Docker writes them: a config.json to be changed by tests, and a small root file system.

    bundle = Bundle(directory, tree)
    bundle.args("sh", "-c", "id")
    bundle.process["user"]["uid"] = 1000
    bundle.mount("/data", directory, "rbind", "ro")

config.json is written by whoever gives the bundle to a runtime (lib/oci.py).
"""

import copy
import itertools
import json
import os
import shutil
from pathlib import Path

from lib import oci_seccomp
from lib.trees import BUSYBOX, GROUP, PASSWD
from lib.world import command

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
                "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
          "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
DIRECTORIES = ("bin", "data", "dev", "etc", "home/plain", "mnt", "opt", "proc", "root", "srv", "sys", "tmp", "usr/bin", "usr/sbin", "var/tmp")
MOST_LINKS = 60_000
SYSTEM_MOUNTS = ("/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm")


def make_rootfs(path):
    """Static busybox with hard-linked applets, accounts, and the usual directories."""
    path = Path(path)
    for name in DIRECTORIES:
        (path / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (path / name).chmod(0o1777)
    (path / "etc/passwd").write_text(PASSWD)
    (path / "etc/group").write_text(GROUP)
    (path / "etc/image-file").write_text("image\n")
    shutil.copy(BUSYBOX, path / "bin/busybox")
    (path / "bin/busybox").chmod(0o755)
    for applet in command(BUSYBOX, "--list").split():
        if applet != "busybox":
            os.link(path / "bin/busybox", path / "bin" / applet)
    (path / "bin/not-executable").write_text("#!/bin/sh\necho no\n")
    (path / "bin/not-executable").chmod(0o644)
    (path / "bin/bad-format").write_bytes(b"\x7fELF nonsense")
    (path / "bin/bad-interpreter").write_text("#!/no/such/interpreter\n")
    for name in ("bad-format", "bad-interpreter"):
        (path / "bin" / name).chmod(0o755)
    return path


def with_links_left(tree):
    """The tree, or a copy beside it: a file of ext4 has 65,000 links at most, and each copy takes one for each applet."""
    for number in itertools.count():
        source = tree.with_name(f"{tree.name}-{number}") if number > 0 else tree
        if not source.exists():
            command("cp", "-a", tree, source)
        if (source / "bin/busybox").stat().st_nlink < MOST_LINKS:
            return source


def copy_rootfs(tree, path):
    """A root file system of a test's own, whose programs are the tree's, by hard links."""
    path.mkdir(exist_ok=True)
    command("cp", "-a", "--link", f"{with_links_left(tree)}/.", path)
    for name in ("passwd", "group", "image-file"):  # those that a test may change
        (path / "etc" / name).unlink()
        shutil.copy(tree / "etc" / name, path / "etc" / name)
    return path


def mount_entry(destination, kind, source, *options):
    return {"destination": str(destination), "type": kind, "source": str(source), "options": list(options)}


def docker_mounts():
    return [mount_entry("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            mount_entry("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount_entry("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            mount_entry("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
            mount_entry("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
            mount_entry("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            mount_entry("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=67108864")]


def device_rule(allow, kind=None, major=None, minor=None, access="rwm"):
    made = {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}
    return {key: value for key, value in made.items() if value is not None}


def docker_device_rules():
    return [device_rule(False), *(device_rule(True, "c", *numbers) for numbers in [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)]),
            device_rule(False, "c", 10, 229)]


def docker_resources():
    """With the zeros by which Docker says that a limit isn't set."""
    return {"devices": docker_device_rules(), "memory": {"disableOOMKiller": False}, "cpu": {"shares": 0}, "pids": {"limit": 0}, "blockIO": {"weight": 0}}


def docker_config(rootfs, cgroups_path):
    return {
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": [PATH, "HOSTNAME=box"],
            "cwd": "/",
            "capabilities": {name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}],
            "oomScoreAdj": 0,
        },
        "root": {"path": str(rootfs)},
        "hostname": "box",
        "mounts": docker_mounts(),
        "linux": {
            "resources": docker_resources(),
            "cgroupsPath": cgroups_path,
            "namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc")],
            "seccomp": oci_seccomp.docker_profile(),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READONLY),
        },
    }


class Bundle:
    """A bundle's directory, and its configuration as a dict."""

    def __init__(self, directory, rootfs, cgroups_path=None):
        self.directory, self.rootfs = Path(directory), Path(rootfs)
        self.config = docker_config(self.rootfs, cgroups_path)
        self.raw = None  # bytes that are written instead of the configuration
        if cgroups_path is None:
            del self.linux["cgroupsPath"], self.linux["resources"]

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    @property
    def path(self):
        return self.directory / "config.json"

    def write(self):
        self.path.write_bytes(json.dumps(self.config, indent=1).encode() if self.raw is None else self.raw)
        self.path.chmod(0o644)
        return self

    def args(self, *words):
        self.process["args"] = [str(word) for word in words]
        return self

    def sh(self, script):
        return self.args("sh", "-c", script)

    def mount(self, destination, source, *options, kind=None):
        """One more mount, the last: a bind mount when an option says so."""
        bound = {"bind", "rbind"} & set(options)
        self.config["mounts"].append(mount_entry(destination, kind or ("bind" if bound else "tmpfs"), source, *options))
        return self

    def without_mount(self, *destinations):
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["destination"] not in destinations]
        return self

    def mount_of(self, destination):
        return next(mount for mount in self.config["mounts"] if mount["destination"] == destination)

    def namespace(self, kind, path=None):
        """A new one, or that of path."""
        self.without_namespace(kind)
        self.linux["namespaces"].append({"type": kind} if path is None else {"type": kind, "path": str(path)})
        return self

    def without_namespace(self, *kinds):
        self.linux["namespaces"] = [each for each in self.linux["namespaces"] if each["type"] not in kinds]
        return self

    def capabilities(self, **sets):
        """The five sets; those that aren't named are empty."""
        kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
        self.process["capabilities"] = {kind: list(sets.get(kind, ())) for kind in kinds}
        return self

    def hook(self, kind, *words, **more):
        self.config.setdefault("hooks", {}).setdefault(kind, []).append({"path": str(words[0]), "args": [str(w) for w in words], **more})
        return self

    def hook_sh(self, kind, script, **more):
        """A shell's script, which has the state it was given in $input."""
        return self.hook(kind, "/bin/sh", "-c", f"input=$(cat); {script}", **more)

    def annotate(self, **pairs):
        self.config.setdefault("annotations", {}).update({key.replace("_", "."): value for key, value in pairs.items()})
        return self

    def map_ids(self, uid, gid, size=1, inside=0):
        """A user namespace with these ids of the host as `inside` and up."""
        self.namespace("user")
        self.linux["uidMappings"] = [{"containerID": inside, "hostID": uid, "size": size}]
        self.linux["gidMappings"] = [{"containerID": inside, "hostID": gid, "size": size}]
        return self

    def resources(self, **fields):
        self.linux.setdefault("resources", {}).update(fields)
        return self

    def seccomp(self, *rules, **more):
        self.linux["seccomp"] = oci_seccomp.everything_but(*rules, **more)
        return self

    def set(self, path, value):
        """The field at a dotted path, whose numbers are places in lists; makes objects on the way."""
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = self.config
        for part in way:
            place = place[part] if isinstance(part, int) else place.setdefault(part, {})
        place[last] = value
        return self

    def remove(self, path):
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = self.config
        for part in way:
            place = place[part]
        del place[last]
        return self

    def copy_config(self):
        return copy.deepcopy(self.config)
