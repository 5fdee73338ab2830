"""What is measured: programs, trees, bundles, views of the cgroup tree, command lines.

Everything is made below one output directory and needs root. A competitor that
cannot run here keeps its name and gets the reason (`absent`); it is never left out.
"""

import json
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
CFLAGS = ["-std=gnu17", "-O2", "-static", "-Wall", "-Wextra"]
HEADERS = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
FLOOR_SOURCES = ["floor.c", "floor_cgroup.c", "floor_go.c", "floor_root.c", "floor_harden.c"]
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
APPLETS = ["true", "sleep", "sh"]
CGROUPS = ["memory", "pids", "cpuacct", "cpu"]
ID_BASE, ID_COUNT = 0x70000000, 65536

# Alternatives that are compared with another row than the base: touching memory costs time itself.
OTHER_BASE = {
    "parent with 1 MiB touched, copied": "parent with 1 MiB touched, shared",
    "parent with 16 MiB touched, copied": "parent with 16 MiB touched, shared",
}


class BenchError(Exception):
    """One line for the user."""


@dataclass
class Competitor:
    """A command to time; `absent` says why it cannot be."""

    name: str
    argv: list = field(default_factory=list)
    every: int = 1  # runs in every k-th round only
    view: str = "-"  # path of a mount namespace, or "-"
    absent: str = ""

    def line(self):
        return "\t".join([self.name, str(self.every), self.view, *self.argv])


def need_tool(name):
    path = shutil.which(name)
    if path is None:
        raise BenchError(f"{name} is not installed")
    return path


def make_programs(out):
    """Builds the stopwatch, the empty program and the floor with musl."""
    compiler = need_tool("musl-gcc")
    jobs = [
        ("spawn", ["spawn.c"], HEADERS),
        ("nothing", ["nothing.c"], ["-nostartfiles", "-nostdlib"]),
        ("floor", FLOOR_SOURCES, HEADERS),
    ]
    for name, sources, extra in jobs:
        target = out / name
        files = [HERE / s for s in sources]
        newest = max(f.stat().st_mtime for f in [*files, HERE / "floor.h"])
        if target.exists() and target.stat().st_mtime > newest:
            continue
        command = [compiler, *CFLAGS, *extra, "-o", str(target), *map(str, files)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode != 0:
            raise BenchError(f"building {name} failed:\n{made.stderr}")


def make_rootfs(path):
    """A tree with one static busybox, its applets hard links, and mount points."""
    busybox = pathlib.Path(need_tool("busybox"))
    for directory in ["bin", "proc", "sys", "dev", "tmp", "etc", "root", "run", "var/tmp"]:
        (path / directory).mkdir(parents=True, exist_ok=True)
    program = path / "bin/busybox"
    if not program.exists():
        shutil.copy2(busybox, program)
    for applet in APPLETS:
        link = path / "bin" / applet
        if not link.exists():
            os.link(program, link)


def make_dev_template(path):
    path.mkdir(parents=True, exist_ok=True)
    for directory in ["pts", "shm"]:
        (path / directory).mkdir(exist_ok=True)
    for name, (major, minor) in DEVICES.items():
        if not (path / name).exists():
            os.mknod(path / name, 0o20666, os.makedev(major, minor))
            os.chmod(path / name, 0o666)


def make_bundle(path, rootfs, limits):
    """An OCI bundle with the namespaces and mounts that the container wall has."""
    path.mkdir(parents=True, exist_ok=True)
    ids = [{"containerID": 0, "hostID": ID_BASE, "size": ID_COUNT}]
    quiet = ["nosuid", "noexec", "nodev"]
    config = {
        "ociVersion": "1.0.0",
        "root": {"path": str(rootfs), "readonly": True},
        "hostname": "bench",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/",
            "env": ["PATH=/bin"], "noNewPrivileges": True,
            "capabilities": {k: [] for k in ["bounding", "effective", "permitted", "inheritable", "ambient"]},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": [*quiet, "mode=1777", "size=64m"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "nodev", "mode=1777", "size=64m"]},
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ["user", "pid", "network", "ipc", "uts", "mount", "cgroup"]],
            "uidMappings": ids, "gidMappings": ids,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger"],
            "readonlyPaths": ["/proc/sys", "/proc/irq", "/proc/bus"],
        },
    }
    if limits:
        config["linux"]["resources"] = {
            "memory": {"limit": 512 << 20}, "pids": {"limit": 256}, "cpu": {"quota": 150000, "period": 100000}}
    (path / "config.json").write_text(json.dumps(config, indent=1))


class View:
    """A private mount namespace, held open by a sleeping process until close()."""

    def __init__(self, script):
        """SCRIPT is shell, run inside before the namespace is used."""
        self.holder = subprocess.Popen(
            [need_tool("unshare"), "-m", "sh", "-c", f"set -e; {script}; echo ready; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            reason = self.holder.stderr.read().strip()
            self.close()
            raise BenchError(f"view of the mount tree: {reason}")
        self.path = f"/proc/{self.holder.pid}/ns/mnt"

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()


V1_ONLY = "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi"


def view_many_mounts(count, directory):
    directory.mkdir(parents=True, exist_ok=True)
    return View(f"mount --make-rprivate /; i=0; while [ $i -lt {count} ]; do "
                f"mount -t tmpfs -o size=4k m {directory}; i=$((i+1)); done")


class Rig:
    """Everything made for one run of the bench; close() ends the view holders."""

    def __init__(self, out, cloister):
        self.out = out
        self.cloister = cloister
        self.rootfs = out / "rootfs"
        self.template = out / "dev"
        self.floor = str(out / "floor")
        self.views = []
        make_programs(out)
        make_rootfs(self.rootfs)
        make_dev_template(self.template)

    def close(self):
        for view in self.views:
            view.close()

    def view(self, made):
        self.views.append(made)
        return made.path

    # ---- floor ----

    def floor_steps(self):
        """(label, arguments added at this step), from a bare fork and exec to the full set.

        The full set is what the container wall puts up for a strict run, in the same amounts.
        """
        return [
            ("fork and exec", []),
            ("user namespace, id maps", ["--ns", "user"]),
            ("pid, ipc, uts, cgroup namespaces", ["--ns", "user,pid,ipc,uts,cgroup"]),
            ("mount namespace", ["--ns", "user,pid,ipc,uts,cgroup,mnt"]),
            ("network namespace, lo up", ["--ns", "all"]),
            ("id-mapped root, pivot", ["--root", f"idmap:{self.rootfs}"]),
            ("/proc", ["--proc"]),
            ("/dev from a template", ["--dev", f"template:{self.template}"]),
            ("/dev/pts", ["--devpts"]),
            ("/dev/shm, /tmp and /var/tmp", ["--shm", "--tmpfs", "2"]),
            ("14 masks in /proc", ["--masks", "14"]),
            ("capabilities, keyring", ["--caps", "41", "--keyring"]),
            ("Landlock, 6 rules", ["--landlock", "6"]),
            ("seccomp, 344 instructions", ["--seccomp", "344"]),
            ("output through pipes", ["--pipes"]),
            ("init process", ["--init", "fork"]),
            ("2 v1 cgroups", ["--cgroups", "memory,pids"]),
        ]

    def _floor(self, args, command="/bin/true"):
        inside = "--root" in args
        target = command if inside else str(self.rootfs) + command
        return [self.floor, *args, "--", *target.split()]

    def waterfall(self):
        steps, args = [], []
        for label, added in self.floor_steps():
            args = [*args, *added]  # a later --ns or --root replaces the earlier one
            steps.append(Competitor("floor: " + label, self._floor(args)))
        return steps

    def floor_args(self, without=()):
        dropped = {"cgroups": "--cgroups"}
        args = []
        for _, added in self.floor_steps():
            if not any(dropped[w] in added for w in without):
                args += added
        return args

    def floor_full(self, command="/bin/true", without=()):
        return self._floor(self.floor_args(without), command)

    def alternatives(self):
        """Other ways to do one step; differences go against the row `alt: base` or OTHER_BASE's."""
        base = ["--ns", "all", "--root", f"idmap:{self.rootfs}", "--proc", "--dev",
                f"template:{self.template}", "--devpts", "--shm", "--tmpfs", "1"]
        many = self.view(view_many_mounts(200, self.out / "many"))
        table = [
            ("no network namespace", ["--no-net"]),
            ("no user namespace, plain clone as root", ["--root", f"clone:{self.rootfs}", "--no-user"]),
            ("root: overlay on tmpfs over the id-mapped tree", ["--root", f"overlay:{self.rootfs}"]),
            ("root: cloned tree, no id map", ["--root", f"clone:{self.rootfs}"]),
            ("root: classic bind", ["--root", f"bind:{self.rootfs}"]),
            ("/dev: tmpfs with mknod by the parent", ["--dev", "mknod"]),
            ("/dev: tmpfs with six binds", ["--dev", "binds"]),
            ("tmpfs: one more", ["--tmpfs", "2"]),
            ("tmpfs: four more", ["--tmpfs", "5"]),
            ("masks: 1", ["--masks", "1"]), ("masks: 5", ["--masks", "5"]), ("masks: 12", ["--masks", "12"]),
            ("keyring", ["--keyring"]), ("capabilities: bounding set of 41", ["--caps", "41"]),
            ("Landlock: 10 rules", ["--landlock", "10"]),
            ("seccomp: 200 instructions", ["--seccomp", "200"]),
            ("seccomp: 1000 instructions", ["--seccomp", "1000"]),
            ("pipes", ["--pipes"]),
            ("init by fork", ["--init", "fork"]), ("init, its child by vfork", ["--init", "vfork"]),
            ("child shares memory until exec", ["--spawn", "vm"]),
            ("network namespace made by the child", ["--late-net"]),
            ("go by futex and shared table", ["--wait", "futex"]),
            ("parent with 1 MiB touched, copied", ["--ballast", "1"]),
            ("parent with 1 MiB touched, shared", ["--ballast", "1", "--spawn", "vm"]),
            ("parent with 16 MiB touched, copied", ["--ballast", "16"]),
            ("parent with 16 MiB touched, shared", ["--ballast", "16", "--spawn", "vm"]),
            *[(f"cgroup {c}", ["--cgroups", c]) for c in [*CGROUPS, "freezer", "devices", "blkio"]],
            ("cgroups: memory and pids", ["--cgroups", "memory,pids"]),
            ("cgroups: 4, joined without limits", ["--cgroups", ",".join(CGROUPS), "--no-limits"]),
            ("cgroups: 4, made after the clone", ["--late-cgroups", "--cgroups", ",".join(CGROUPS)]),
            ("cgroups: 4, joined after the mounts", ["--join-last", "--cgroups", ",".join(CGROUPS)]),
            ("cgroups: 4", ["--cgroups", ",".join(CGROUPS)]),
        ]
        rows = [Competitor("alt: base", self._floor(base))]
        rows += [Competitor("alt: " + label, self._floor(base + args)) for label, args in table]
        rows.append(Competitor("alt: 200 more mounts on the host", self._floor(base), view=many))
        return rows

    # ---- competitors ----

    def cloister_run(self, *args):
        return [str(self.cloister), "run", *args]

    def _cloister(self, name, *args):
        if not os.access(self.cloister, os.X_OK):
            return Competitor(name, absent=f"{self.cloister} is not built")
        return Competitor(name, self.cloister_run(*args))

    def bwrap(self, *command, extra=()):
        return ["bwrap", "--unshare-all", *extra, "--bind", str(self.rootfs), "/",
                "--proc", "/proc", "--dev", "/dev", *command]

    def _tool(self, name, tool, argv, every=1, view="-"):
        path = shutil.which(tool)
        if path is None:
            return Competitor(name, absent=f"{tool} is not installed")
        return Competitor(name, [path, *argv[1:]], every, view)

    def _engines(self):
        with_limits, without = self.out / "bundle", self.out / "bundle-nolimits"
        make_bundle(with_limits, self.rootfs, True)
        make_bundle(without, self.rootfs, False)
        try:
            v1 = self.view(View(V1_ONLY))
        except BenchError as error:
            return [Competitor(n, absent=str(error)) for n in ["crun", "crun, cgroups disabled"]]
        crun = ["crun", "run", "--bundle", str(with_limits), "bench-crun"]
        bare = ["crun", "--cgroup-manager=disabled", "run", "--bundle", str(without), "bench-crun-bare"]
        runc = ["runc", "run", "--bundle", str(with_limits), "bench-runc"]
        return [
            self._tool("crun", "crun", crun, 2, v1),
            self._tool("crun, cgroups disabled", "crun", bare, 2, v1),
            self._tool("runc", "runc", runc, 4),
        ]

    def competitors(self):
        """All that is compared; the first two are the harness's own cost."""
        image = f"rootfs:{self.rootfs}"
        rows = [
            Competitor("harness", [str(self.out / "nothing")]),
            Competitor("busybox true, no sandbox", [str(self.rootfs / "bin/true")]),
            Competitor("floor, full", self.floor_full()),
            Competitor("floor, no cgroups", self.floor_full(without=["cgroups"])),
            self._cloister("cloister", image, "true"),
            self._cloister("cloister --without limits", "--without", "limits", image, "true"),
            self._tool("bwrap", "bwrap", self.bwrap("/bin/true")),
            *self._engines(),
        ]
        for row in rows:
            probe(row)
        return rows


def probe(row):
    """Runs ROW once in its view; a failure becomes the reason for its absence."""
    if row.absent:
        return
    argv = row.argv
    if row.view != "-":
        argv = ["nsenter", f"--mount={row.view}", *argv]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if ran.returncode != 0:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        row.absent = f"exit {ran.returncode}: {last}"
