"""Layers as directories or as EROFS images made of them: making, disk, starts, page cache, walks.

All lies on an ext4 of its own, in a file behind a loop device with direct I/O, in a mount
namespace of its own. It is mounted anew where caches have to be cold: that drops its pages,
names and inodes, and nobody else's.
"""

import os
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import images_run
import measure
from images import build_static
from rig import BenchError, Competitor, View, need_tool, probe

IDS = (0x70000000, 0x70000000 + 65536)  # those of two sandboxes
DISK_BYTES = 12 << 30  # sparse
COUNTS = (4, 10)  # layers of a start
COMMAND = "/bin/true"
MOUNT = 'device=$(losetup --find --show --direct-io=on "$1"); mount "$device" "$2"; losetup --detach "$device"'  # it goes with the mount


@dataclass(frozen=True)
class Kind:
    """One way to keep layers. word: what images_mount calls it; source: where they are on the disk."""

    name: str
    word: str
    source: str
    flags: tuple = None  # of mkfs.erofs


DIRECTORIES = Kind("directories", "dirs", "store/layers")
FILE = Kind("EROFS, mounted from its file", "file", "plain", ())
LZ4 = Kind("EROFS with lz4, from its file", "file", "lz4", ("-zlz4",))
LOOP = Kind("EROFS, by a loop device", "loop", "plain")
KEPT = Kind("EROFS from its file, mounted before", "kept", "kept/layers")
KINDS = [DIRECTORIES, FILE, LZ4, LOOP, KEPT]


def supported():
    """Why this host has no EROFS, or ''."""
    if not any(line.split()[-1:] == ["erofs"] for line in Path("/proc/filesystems").read_text().splitlines()):
        return "this kernel has no EROFS"
    return "" if shutil.which("mkfs.erofs") else "mkfs.erofs is not installed"


class Disk:
    """The scratch file system in its view."""

    def __init__(self, images):
        self.images, self.place = images, images.out / "erofs"
        self.file, self.top, self.base = self.place / "disk.img", self.place / "disk", self.place / "base"
        for path in (self.top, self.base / "layers", self.base / "root"):
            path.mkdir(parents=True)
        with open(self.file, "wb") as disk:
            disk.truncate(DISK_BYTES)
        done = subprocess.run([need_tool("mkfs.ext4"), "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self.file)], capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"mkfs.ext4: {done.stderr.strip()[-200:]}")
        self.view = View("mount --make-rprivate /")
        self.mount()

    def close(self):
        self.view.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def argv(self, *words):
        return ["nsenter", f"--mount={self.view.path}", *map(str, words)]

    def call(self, *words, env=None):
        done = subprocess.run(self.argv(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd="/")
        if done.returncode != 0:
            raise BenchError(f"{words[0]}: {(done.stderr.strip().splitlines() or ['exit ' + str(done.returncode)])[-1][:300]}")
        return done.stdout

    def mount(self):
        self.call("sh", "-euc", MOUNT, "sh", self.file, self.top)

    def unmount(self):
        self.call("umount", self.top)

    def remount(self):
        """With nothing of it in any cache."""
        self.unmount()
        self.mount()

    def source(self, kind):
        return self.top / kind.source

    def files(self, kind, names):
        """What of a kind lies on the disk."""
        if kind is DIRECTORIES:
            return [self.source(kind) / name / "tree" for name in names]
        return [self.top / (LZ4 if kind is LZ4 else FILE).source / name for name in names]


class Bench:
    def __init__(self, images, rounds):
        self.images, self.rounds = images, rounds
        self.tree = build_static(images.rig.out, "images_tree")
        self.mounter = build_static(images.rig.out, "images_mount")
        self.disk = Disk(images)
        self.kinds = KINDS
        self.found = {kind.name: {} for kind in KINDS}
        self.tree_seen = None
        self.absent = {}  # a kind or a start: why it was not measured

    def close(self):
        self.disk.close()

    # ---- making ----

    def pull(self):
        """The image into a store on the disk: what directories cost, whatever they become."""
        env = {**os.environ, "CLOISTER_STORE": str(self.disk.top / "store")}
        command = images_run.Command(self.disk.argv(self.images.cloister, "pull", "--quiet", self.images.name("ten")), env)
        run = images_run.run(command, self.images.out / "log")
        if run.status != 0:
            raise BenchError(f"cloister pull: {run.error}")
        self.names = sorted(self.disk.call("ls", self.disk.top / "store/layers").split(), key=int)
        self.found[DIRECTORIES.name].update(pull_s=run.wall_s)

    def make(self, kind, turns):
        """mkfs.erofs of each layer, one after the other; the layers are in the page cache."""
        walls, cpus = [], []
        for _ in range(turns):
            self.disk.call("rm", "-rf", self.disk.source(kind))
            self.disk.call("mkdir", self.disk.source(kind))
            self.disk.call("sync", "-f", self.disk.top)
            wall = cpu = 0.0
            for tree, target in zip(self.disk.files(DIRECTORIES, self.names), self.disk.files(kind, self.names)):
                command = images_run.Command(self.disk.argv("mkfs.erofs", "--quiet", *kind.flags, target, tree), dict(os.environ))
                run = images_run.run(command, self.images.out / "log")
                if run.status != 0:
                    raise BenchError(f"mkfs.erofs: {run.error}")
                wall, cpu = wall + run.wall_s, cpu + run.cpu_s
            walls.append(wall)
            cpus.append(cpu)
        self.found[kind.name].update(make_s=statistics.median(walls), make_cpu_s=statistics.median(cpus))

    def disk_used(self, kind):
        lines = self.disk.call("du", "-s", "--block-size=1", *self.disk.files(kind, self.names)).splitlines()
        self.found[kind.name]["disk_bytes"] = sum(int(line.split()[0]) for line in lines)

    # ---- starts ----

    def keep(self):
        """The images mounted once, for KEPT's starts to clone."""
        base = self.disk.top / "kept"
        self.disk.call("mkdir", "-p", base / "layers", base / "root")
        self.disk.call(self.mounter, "file", "0", base, self.disk.source(FILE), ",".join(self.names), "keep")

    def release(self):
        self.disk.call("sh", "-euc", 'for tree in "$1"/*/tree; do umount "$tree"; done; umount "$1"', "sh", self.disk.top / "kept/layers")

    def words(self, kind, ids, names):
        return [self.mounter, kind.word, str(ids), self.disk.base, self.disk.source(kind), ",".join(names)]

    def row(self, kind, count, *action):
        argv = [str(word) for word in [*self.words(kind, IDS[0], self.names[:count]), *action]]
        row = Competitor(f"{kind.name}: {count} {action[0]}", argv, every=2 if kind is LOOP else 1, view=self.disk.view.path)
        probe(row)
        return row

    def drop_kinds(self):
        """Those that this kernel can't mount."""
        if KEPT in self.kinds:
            try:
                self.keep()
            except BenchError as error:
                self.drop(KEPT, str(error))
        for kind in self.kinds:
            tried = self.row(kind, len(self.names), "leave")
            if tried.absent:
                self.drop(kind, tried.absent)

    def drop(self, kind, why):
        self.kinds = [other for other in self.kinds if other is not kind]
        self.absent[kind.name] = why
        del self.found[kind.name]

    def starts(self):
        """Of the lowest layers, in some numbers; not all of them need have the command."""
        self.drop_kinds()
        count = len(self.names)
        counts = [number for number in COUNTS if number < count] + [count]
        rows = [self.row(kind, number, "enter", COMMAND) for number in counts for kind in self.kinds]
        rows += [self.row(kind, count, "leave") for kind in self.kinds]
        self.absent.update({row.name: row.absent for row in rows if row.absent})
        harness = Competitor("harness", [str(self.images.rig.out / "nothing")])
        found = measure.starts(self.images.rig, [harness, *rows], self.rounds)
        if KEPT in self.kinds:
            self.release()
        floor = found.pop("harness")["median"]
        for name, row in found.items():
            kind, what = name.split(": ")
            if row["failures"]:
                self.absent[name] = f"{row['failures']} of {row['count']} failed"
            else:
                self.found[kind].setdefault("start_us", {})[what] = row["median"] - floor

    # ---- walks ----

    def walk(self, what, place, *paths):
        done = subprocess.run([*place, str(self.tree), what, *map(str, paths)], capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            raise BenchError(done.stderr.strip()[-300:] or f"images_tree {what} failed")
        return parse_walk(done.stdout)

    def walks_of(self, kind):
        """One sandbox's walks from cold, then another's with other ids: {column: milliseconds or bytes}."""
        self.disk.remount()
        if kind is KEPT:
            self.keep()
        with Held(self, kind, IDS[0]) as one:
            root = self.disk.base / "root"
            times = {}
            for what in ("stat", "read"):
                for heat in ("cold", "warm"):
                    walked = self.walk(what, one.inside, root)
                    times[f"{what}_{heat}_ms"] = walked["wall_ns"] / 1e6
            self.check_tree(kind, walked)
            cache = self.resident(kind, [one])
            with Held(self, kind, IDS[1]) as other:
                for _ in range(2):
                    self.walk("read", other.inside, root)
                both = self.resident(kind, [one, other])
        if kind is KEPT:
            self.release()
        return {**times, "cache_one": cache, "cache_two": both}

    def check_tree(self, kind, walked):
        """All kinds show the same tree."""
        seen = (walked["entries"], walked["bytes"])
        self.tree_seen = self.tree_seen or seen
        if seen != self.tree_seen:
            raise BenchError(f"{kind.name}: {seen} entries and bytes, and directories have {self.tree_seen}")

    def resident(self, kind, holders):
        """Bytes in the page cache: of the layers, once where all holders have them from one mount, and of what they lie in."""
        trees = [self.disk.base / "layers" / name / "tree" for name in self.names]
        if kind is DIRECTORIES:
            return self.walk("cached", self.disk.argv(), *self.disk.files(kind, self.names))["bytes"]
        if kind is KEPT:
            holders = holders[:1]
        inside = sum(self.walk("cached", holder.inside, *trees)["bytes"] for holder in holders)
        devices = sorted({device for holder in holders for device in holder.devices()})
        return inside + self.walk("cached", self.disk.argv(), *self.disk.files(kind, self.names), *devices)["bytes"]

    def walks(self, turns):
        found = {kind.name: [] for kind in self.kinds}
        for turn in range(turns + 1):
            for kind in self.kinds:
                walked = self.walks_of(kind)
                if turn > 0:  # the host's own caches are filled by then
                    found[kind.name].append(walked)
        for name, rows in found.items():
            self.found[name].update({column: statistics.median(row[column] for row in rows) for column in rows[0]})


def parse_walk(line):
    """What images_tree printed."""
    entries, size, wall = map(int, line.split())
    return {"entries": entries, "bytes": size, "wall_ns": wall}


def loop_devices(mountinfo, below):
    """The loop devices of what is mounted there."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split()
        major, _, minor = fields[2].partition(":")
        if major == "7" and fields[4].startswith(f"{below}/"):
            found.append(f"/dev/loop{minor}")
    return found


class Held:
    """An image that is mounted for one sandbox, until the end of the block."""

    def __init__(self, bench, kind, ids):
        self.below = bench.disk.base / "layers"
        argv = bench.disk.argv(*bench.words(kind, ids, bench.names), "hold")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            said = self.process.stderr.read().strip()
            self.__exit__()
            raise BenchError(said or "images_mount failed")
        self.inside = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt"]

    def devices(self):
        return loop_devices(Path(f"/proc/{self.process.pid}/mountinfo").read_text(), self.below)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def erofs(images, rounds, turns):
    absent = supported()
    if absent:
        raise BenchError(absent)
    bench = Bench(images, rounds)
    try:
        bench.pull()
        for kind in (FILE, LZ4):
            bench.make(kind, turns)
        for kind in (DIRECTORIES, FILE, LZ4):
            bench.disk_used(kind)
        bench.starts()
        bench.walks(turns)
    finally:
        bench.close()
    return {"layers": len(bench.names), "kinds": bench.found, "absent": bench.absent, "turns": turns, "rounds": rounds}
