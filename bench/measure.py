"""The measurements. Each returns plain dictionaries for the report; times are in microseconds."""

import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import time

from rig import BenchError

SLEEP_TOKEN = "86399"  # an odd time to sleep, by which our own sleepers are known
READY_TIMEOUT_S = 60
FUNCTIONS = 5  # in each generated file


def summary(values_us):
    ordered = sorted(values_us)
    count = len(ordered)
    median = statistics.median(ordered)
    p10, p90 = ordered[count // 10], ordered[count * 9 // 10]
    return {"median": median, "p25": ordered[count // 4], "p10": p10, "p90": p90, "count": count,
            "spread": (p90 - p10) / median if median else 0.0}


def stopwatch(rig, mode, rows):
    """Runs the stopwatch over ROWS and returns the split lines of its output."""
    with tempfile.NamedTemporaryFile("w", dir=rig.out, suffix=".commands") as commands:
        commands.write("".join(row.line() + "\n" for row in rows))
        commands.flush()
        ran = subprocess.run([str(rig.out / "spawn"), *map(str, mode), commands.name],
                             capture_output=True, text=True)
    if ran.returncode != 0:
        raise BenchError(ran.stderr.strip() or "the stopwatch failed")
    return [line.split("\t") for line in ran.stdout.splitlines()]


def starts(rig, rows, rounds):
    """Interleaved starts: name -> summary, with failures and the largest resident set of the tree."""
    present = [row for row in rows if not row.absent]
    times = {row.name: [] for row in present}
    failures = dict.fromkeys(times, 0)
    peaks = dict.fromkeys(times, 0)
    for name, round_index, wall_ns, status, maxrss, *_ in stopwatch(rig, ["rounds", rounds + 2], present):
        if int(round_index) < 2:  # the first two fill caches
            continue
        times[name].append(int(wall_ns) / 1000)
        failures[name] += status != "0"
        peaks[name] = max(peaks[name], int(maxrss))
    return {name: {**summary(times[name]), "failures": failures[name], "maxrss_kib": peaks[name]}
            for name in times if times[name]}


def loops(rig, rows, seconds, turns=7, processes=2):
    """So many parallel loops each; TURNS short turns in rotation: name -> starts a second."""
    present = [row for row in rows if not row.absent]
    rates = {row.name: [] for row in present}
    failures = dict.fromkeys(rates, 0)
    for _ in range(turns):
        for name, count, failed, wall_ns in stopwatch(rig, ["loops", seconds, processes], present):
            rates[name].append(int(count) / (int(wall_ns) / 1e9))
            failures[name] += int(failed)
    return {name: {"per_second": statistics.median(r), "failures": failures[name]} for name, r in rates.items()}


# ---- processes ----

def process_table():
    """pid -> (ppid, arguments) of all processes."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            arguments = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile
        table[int(entry)] = (int(stat[stat.rindex(")") + 2:].split()[1]), arguments)
    return table


def descends(table, pid, ancestors):
    while pid in table:
        if pid in ancestors:
            return True
        pid = table[pid][0]
    return False


def sleepers_of(pids):
    """Our sleeping commands below PIDS, told from their launchers by their first argument."""
    table = process_table()
    wanted = set(pids)
    return [pid for pid, (_, args) in table.items()
            if args[0].endswith(b"sleep") and SLEEP_TOKEN.encode() in args and descends(table, pid, wanted)]


class Sleepers:
    """COUNT sleeping sandboxes, all up when entered; ended by the pids of their sleeping commands."""

    def __init__(self, argv, count):
        self.argv, self.count, self.launched = argv, count, []

    def __enter__(self):
        try:
            for _ in range(self.count):
                self.launched.append(subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_ready(self):
        deadline = time.monotonic() + READY_TIMEOUT_S
        pids = [p.pid for p in self.launched]
        while len(sleepers_of(pids)) < self.count:
            ended = [p for p in self.launched if p.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise BenchError(f"{self.count} sleeping sandboxes did not come up ({len(ended)} ended): "
                                 f"{' '.join(self.argv[:3])} ...")
            time.sleep(0.1)

    def __exit__(self, *_):
        for pid in sleepers_of([p.pid for p in self.launched]):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself
        for process in self.launched:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def growth(rig, row, sleeper_argv, harness_row, alive, rounds):
    """A start's cost with ALIVE sleeping sandboxes over its cost alone, each less the harness."""
    def net():
        got = starts(rig, [harness_row, row], rounds)
        return got[row.name]["median"] - got[harness_row.name]["median"]
    before = net()
    with Sleepers(sleeper_argv, alive):
        time.sleep(2)  # what their starts left behind settles
        during = net()
    time.sleep(3)
    after = net()
    alone = (before + after) / 2
    return {"before_us": before, "during_us": during, "after_us": after, "alive": alive,
            "ratio": during / alone}


# ---- memory ----

def proc_field(pid, name, field):
    for line in pathlib.Path("/proc", str(pid), name).read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise BenchError(f"/proc/{pid}/{name} has no {field}")


def memory(argv):
    """Of one sleeping sandbox: KiB of its first process, and of all its processes but the command."""
    with Sleepers(argv, 1) as sleeping:
        supervisor = sleeping.launched[0].pid
        time.sleep(0.5)
        table = process_table()
        command = set(sleepers_of([supervisor]))
        helpers = [p for p in table if p not in command and p != supervisor
                   and descends(table, p, {supervisor})]
        return {
            "pss_kib": proc_field(supervisor, "smaps_rollup", "Pss"),
            "rss_kib": proc_field(supervisor, "smaps_rollup", "Rss"),
            "peak_kib": proc_field(supervisor, "status", "VmHWM"),
            "others": len(helpers),
            "others_pss_kib": sum(proc_field(p, "smaps_rollup", "Pss") for p in helpers),
            "others_peak_kib": max([proc_field(p, "status", "VmHWM") for p in helpers], default=0),
        }


# ---- a compile ----

def write_sources(directory, count):
    """COUNT C files of some 50-100 ms of gcc -O2 each, different but equally long."""
    directory.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        parts = ["#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n"]
        for f in range(FUNCTIONS):
            k = index * 31 + f * 7 + 3
            parts.append(f"""
uint32_t step_{f}(uint32_t *a, uint32_t n) {{
    uint32_t h = {k}u, t[64];
    memset(t, 0, sizeof t);
    for (uint32_t i = 0; i < n; i++) {{
        switch ((a[i] ^ h) % 7u) {{
        case 0: h = h * {k * 2 + 1}u + a[i]; t[i & 63] += h; break;
        case 1: h ^= a[i] << {k % 13 + 1}; t[(h >> 3) & 63] ^= i; break;
        case 2: for (uint32_t j = 0; j < 8; j++) t[j] += t[j + 8] * (h >> j); break;
        case 3: if (h > a[i]) h -= a[i] / {k % 11 + 3}u; else h += t[i & 63]; break;
        case 4: h = (h >> 5) | (h << 27); a[i] = h + t[h & 63]; break;
        default: for (uint32_t j = 1; j < 64; j++) t[j] = t[j - 1] + (t[j] ^ h) * {k}u; break;
        }}
    }}
    for (uint32_t i = 0; i < 64; i++) h += t[i];
    return h;
}}
""")
        calls = "".join(f"    h ^= step_{f}(a, 64);\n" for f in range(FUNCTIONS))
        parts.append(f"uint32_t all_{index}(uint32_t *a) {{\n    uint32_t h = 0;\n{calls}    return h;\n}}\n")
        (directory / f"f{index:02}.c").write_text("".join(parts))


def cpu_of(argv):
    """User and system CPU seconds of ARGV and all that it waited for."""
    before = os.times()
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    after = os.times()
    if ran.returncode != 0:
        raise BenchError(f"{' '.join(argv[:4])} ...: exit {ran.returncode}: {ran.stderr.strip()[-300:]}")
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


COMPILE = 'for f in "$1"/*.c; do gcc -O2 -c "$f" -o "$2/o.o" || exit 1; done'


def compile_cost(rig, files, turns):
    """CPU time of compiling FILES C files raw and inside `cloister run host`, turn by turn."""
    sources = rig.out / "sources"
    write_sources(sources, files)
    sources.chmod(0o755)
    raw_times, inside_times = [], []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        environment = {"TMPDIR": scratch}
        raw = ["env", *[f"{k}={v}" for k, v in environment.items()], "sh", "-c", COMPILE, "sh", str(sources), scratch]
        inside = rig.cloister_run("--wall", "container", "-v", f"{sources}:/src:ro", "host",
                                  "sh", "-c", COMPILE, "sh", "/src", "/tmp")
        for turn in range(turns + 1):
            pair = (cpu_of(raw), cpu_of(inside))
            if turn > 0:  # the first turn fills caches
                raw_times.append(pair[0])
                inside_times.append(pair[1])
    raw_s, inside_s = statistics.median(raw_times), statistics.median(inside_times)
    return {"files": files, "raw_s": raw_s, "inside_s": inside_s, "ratio": inside_s / raw_s}


def stages(rig, argv, count):
    """Median microseconds of each stage inside the full floor, in order, from its own stamps."""
    with tempfile.TemporaryDirectory(dir=rig.out) as directory:
        path = pathlib.Path(directory, "stages")
        command = [argv[0], "--stages", str(path), *argv[1:]]
        for _ in range(count):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        lines = path.read_text().splitlines()
    deltas = {}
    for line in lines:
        last = {"p": 0, "c": None}
        stamps = [(word[0], *word[2:].split("=")) for word in line.split()]
        ends = {name: int(at) for side, name, at in stamps if side == "p"}
        for side, name, at_text in stamps:
            at, previous = int(at_text), last[side]
            last[side] = at
            if previous is not None and name != "start":
                deltas.setdefault(f"{'parent' if side == 'p' else 'child'}: {name}", []).append((at - previous) / 1000)
            if name == "exec":
                deltas.setdefault("child: exec, run, teardown", []).append((ends["ended"] - at) / 1000)
    return {name: statistics.median(values) for name, values in deltas.items()}
