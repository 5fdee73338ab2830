"""cloister-oci beside crun and runc: what an engine asks of a runtime, with the bundle that Docker makes by default."""

import contextlib
import json
import os
import pathlib
import shlex
import subprocess

import measure
from rig import V1_ONLY, BenchError, Competitor, View, need_tool, probe

PARTS = ["oci"]
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")  # golang-github-containers-common's, which is Docker's too
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
                "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
          "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
DEVICE_NODES = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)]
LIFE = ["create", "start", "state", "delete"]


def seccomp():
    """The profile as an engine hands it to a runtime: with what is of this machine and these capabilities alone."""
    profile = json.loads(PROFILE.read_text())
    machine = ARCHITECTURES[os.uname().machine]
    wanted = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}[machine]
    rules = []
    for rule in profile["syscalls"]:
        takes, leaves = rule.get("includes") or {}, rule.get("excludes") or {}
        if machine not in takes.get("arches", [machine]) or not set(takes.get("caps", [])) <= set(CAPABILITIES):
            continue
        if set(leaves.get("caps", [])) & set(CAPABILITIES):
            continue
        new = {"names": rule["names"], "action": rule["action"], "args": rule.get("args") or []}
        if "errnoRet" in rule:
            new["errnoRet"] = rule["errnoRet"]
        rules.append(new)
    arch = next(entry for entry in profile["archMap"] if entry["architecture"] == wanted)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"],
            "architectures": [arch["architecture"], *arch["subArchitectures"]], "syscalls": rules}


def make_bundle(path, rootfs, args, limits):
    path.mkdir(parents=True, exist_ok=True)
    files = []
    for name in ["resolv.conf", "hostname", "hosts"]:
        (path / name).write_text("")
        (rootfs / "etc" / name).touch()
        files.append({"destination": f"/etc/{name}", "type": "bind", "source": str(path / name), "options": ["rbind", "rprivate"]})
    quiet = ["nosuid", "noexec", "nodev"]
    rules = [{"allow": False, "access": "rwm"}, *({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
                                                  for major, minor in DEVICE_NODES)]
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs)},
        "hostname": "bench",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/", "env": ["PATH=/bin", "HOSTNAME=bench"], "oomScoreAdj": 0,
            "capabilities": {kind: CAPABILITIES for kind in ["bounding", "effective", "permitted"]},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, "ro"]},
            *([{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", *quiet]}] if limits else []),
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*quiet, "mode=1777", "size=67108864"]},
            *files,
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ["mount", "network", "uts", "pid", "ipc"]],
            "maskedPaths": MASKED, "readonlyPaths": READONLY, "seccomp": seccomp(),
            **({"resources": {"devices": rules, "memory": {"limit": 512 << 20}, "pids": {"limit": 256},
                              "cpu": {"quota": 150000, "period": 100000}}} if limits else {}),
        },
    }
    (path / "config.json").write_text(json.dumps(config))
    return path


def life(runtime, bundle, name):
    """create, start, state and delete, by a shell: its own cost is in the row `harness, four`."""
    program = shlex.join([need_tool(runtime[0]), *runtime[1:]])
    script = (f"set -e; {program} create --bundle {shlex.quote(str(bundle))} {name}; {program} start {name}; "
              f"{program} state {name}; {program} delete --force {name}")
    return ["/bin/sh", "-c", script]


class Runtimes:
    """Ours where the tests of the machine run, the others in the view of the cgroup tree that they take."""

    def __init__(self, rig):
        self.rig = rig
        self.mine = rig.cloister.parent / "cloister-oci"
        if not os.access(self.mine, os.X_OK):
            raise BenchError(f"{self.mine} is not built")
        v1 = rig.view(View(V1_ONLY))
        self.table = [("cloister-oci", str(self.mine), "-", 1), ("crun", "crun", v1, 2), ("runc", "runc", "-", 4)]

    def rows(self, what, command, without=()):
        """COMMAND makes the words from those that begin every command of the runtime."""
        for name, program, view, every in self.table:
            if name in without:
                continue
            try:
                path = program if "/" in program else need_tool(program)
                yield Competitor(f"{name} {what}", command(name, path), every, view)
            except BenchError as error:
                yield Competitor(f"{name} {what}", absent=str(error))

    @contextlib.contextmanager
    def sleeping(self, bundle):
        """One container of each, which sleeps: name -> whether it is there."""
        started = {}
        try:
            for name, program, view, _ in self.table:
                enter = [] if view == "-" else ["nsenter", f"--mount={view}"]
                ran = subprocess.run([*enter, program, "run", "-d", "--bundle", str(bundle), f"bench-sleep-{name}"], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # not pipes: the command keeps them
                if ran.returncode == 0:
                    started[name] = [*enter, program]
            yield started
        finally:
            for name, words in started.items():
                subprocess.run([*words, "delete", "--force", f"bench-sleep-{name}"], stdin=subprocess.DEVNULL, capture_output=True)


def oci(rig, rounds):
    runtimes, nothing = Runtimes(rig), str(rig.out / "nothing")
    full = make_bundle(rig.out / "bundle-docker", rig.rootfs, ["/bin/true"], True)
    bare = make_bundle(rig.out / "bundle-docker-bare", rig.rootfs, ["/bin/true"], False)
    asleep = make_bundle(rig.out / "bundle-docker-sleep", rig.rootfs, ["/bin/sleep", measure.SLEEP_TOKEN], True)
    with runtimes.sleeping(asleep) as started:
        rows = [
            Competitor("harness", [nothing]),
            Competitor("harness, four", ["/bin/sh", "-c", f"set -e; {'; '.join([shlex.quote(nothing)] * 4)}; :"]),
            *runtimes.rows("run", lambda name, path: [path, "run", "--bundle", str(full), f"bench-run-{name}"]),
            *runtimes.rows("run, no cgroups", lambda name, path: [path, "--cgroup-manager=disabled", "run", "--bundle", str(bare),
                                                                  f"bench-bare-{name}"], ["runc"]),
            *runtimes.rows("four", lambda name, path: life([path], full, f"bench-four-{name}")),
            *runtimes.rows("exec", lambda name, path: [path, "exec", f"bench-sleep-{name}", "/bin/true"],
                           [row[0] for row in runtimes.table if row[0] not in started]),
        ]
        for row in rows:
            probe(row)
        return {"rows": measure.starts(rig, rows, max(rounds, 200)), "absent": {row.name: row.absent for row in rows if row.absent}}


def net(data, name):
    rows = data.get("oci", {}).get("rows", {})
    harness = "harness, four" if name.endswith(" four") else "harness"
    if name not in rows or harness not in rows or rows[name]["failures"]:
        return None
    return rows[name]["median"] - rows[harness]["median"]


def ratio(data, what, peer):
    ours, theirs = net(data, f"cloister-oci {what}"), net(data, f"{peer} {what}")
    return None if ours is None or not theirs else ours / theirs


def targets(data):
    rows = data.get("oci", {}).get("rows", {})
    peak = rows["cloister-oci run"]["maxrss_kib"] / 1024 if "cloister-oci run" in rows else None
    return [
        ("oci: run of true / crun", ratio(data, "run", "crun"), "<=", 0.35),
        ("oci: run of true / runc", ratio(data, "run", "runc"), "<=", 0.15),
        ("oci: create, start, state, delete / crun", ratio(data, "four", "crun"), "<=", 0.35),
        ("oci: create, start, state, delete / runc", ratio(data, "four", "runc"), "<=", 0.15),
        ("oci: run without cgroups / crun", ratio(data, "run, no cgroups", "crun"), "<=", 0.5),
        ("oci: exec of true / crun", ratio(data, "exec", "crun"), "<=", 0.5),
        ("oci: peak resident set of run, MiB", peak, "<=", 1.5),
    ]


def tables(data):
    found = data.get("oci", {}).get("rows", {})
    rows = [[name, f"{row['median'] / 1000:.3f}", f"{row['p10'] / 1000:.3f}", f"{row['p90'] / 1000:.3f}", row["maxrss_kib"],
             row["count"], row["failures"]] for name, row in found.items()]
    return [("OCI runtimes, ms", ["what", "median", "p10", "p90", "peak KiB", "runs", "failed"], rows)] if rows else []


def notes(data):
    return [f"absent: {name}: {reason}" for name, reason in data.get("oci", {}).get("absent", {}).items()]
