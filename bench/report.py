"""From measurements to targets, a table, JSON, Markdown and the chart."""

import datetime
import json
import os
import pathlib
import platform

import commands
import engine_runs
import images_report
import oci
import outbound
import pods
import wasm
from chart import Chart
from rig import OTHER_BASE

NOISY_SPREAD = 0.6  # (p90 - p10) / median above which a median is called noisy


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "machine": platform.machine(), "load_average": os.getloadavg()[0],
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def net(data, name):
    """Median start of NAME less the harness, in microseconds; None if it was not measured."""
    rows = data.get("starts", {})
    if name not in rows or "harness" not in rows:
        return None
    return rows[name]["median"] - rows["harness"]["median"]


def ratio(top, bottom):
    return None if top is None or not bottom else top / bottom


def dig(data, *keys, default=None):
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return default if data is None else data


def target_row(name, value, op, goal, floor=None, why=""):
    """FLOOR is what the bench's floor program reaches for the same target."""
    if value is None:
        verdict = "NOT MEASURED"
    elif goal is None:
        verdict = "reported"
    else:
        verdict = "PASS" if (value <= goal if op == "<=" else value >= goal) else "MISS"
    return {"name": name, "value": value, "op": op, "goal": goal, "floor": floor, "verdict": verdict, "why": why}


def start_targets(data):
    def row(ours, floor, theirs, goal, title):
        return target_row(title, ratio(net(data, ours), net(data, theirs)), "<=", goal,
                          ratio(net(data, floor), net(data, theirs)))
    bare = "cloister --without limits"
    return [
        row("cloister", "floor, full", "bwrap", 0.70, "start, default limits / bwrap"),
        row(bare, "floor, no cgroups", "bwrap", 0.60, "start, --without limits / bwrap"),
        row("cloister", "floor, full", "crun", 0.25, "start, default limits / crun"),
        row(bare, "floor, no cgroups", "crun, cgroups disabled", None, "start, --without limits / crun without cgroups"),
        row("cloister", "floor, full", "runc", None, "start, default limits / runc"),
    ]


def targets(data):
    memory = data.get("memory", {})
    def mib(name, key):
        value = dig(memory, name, key)
        return None if value is None else value / 1024
    def rate(name):
        return dig(data, "loops", name, "per_second")
    return [
        *start_targets(data),
        target_row("two loops, default limits: starts a second / bwrap", ratio(rate("cloister"), rate("bwrap")), ">=", 1.4,
                   ratio(rate("floor, full"), rate("bwrap"))),
        target_row("two loops, --without limits: the same", ratio(rate("cloister --without limits"), rate("bwrap")), ">=", 1.4,
                   ratio(rate("floor, no cgroups"), rate("bwrap"))),
        target_row("start with sandboxes alive / alone", dig(data, "growth", "cloister", "ratio"), "<=", 1.25,
                   dig(data, "growth", "floor, full", "ratio")),
        target_row("peak memory, MiB", mib("cloister", "peak_kib"), "<=", 1.0, mib("floor, full", "peak_kib")),
        target_row("supervisor PSS, MiB", mib("cloister", "pss_kib"), "<=", 0.5, mib("floor, full", "pss_kib")),
        target_row("compile, CPU time / raw", dig(data, "compile", "ratio"), "<=", 1.05, 1.0),
        *[target_row(*row) for row in [*commands.targets(data), *oci.targets(data), *engine_runs.targets(data), *pods.targets(data)]],
        *[target_row(*row) for row in [*outbound.targets(data), *wasm.targets(data)]],
        *[target_row(*row) for row in images_report.targets(data)],
    ]


def layer_rows(data):
    """The waterfall: (label, cumulative, share, share of lower quartiles) in microseconds."""
    rows, before = [], None
    layers = data.get("layers", {})
    for name in data.get("waterfall", []):
        now = layers.get(name)
        if now is None:
            continue
        last = before or layers["harness"]
        rows.append((name.removeprefix("floor: "), now["median"] - layers["harness"]["median"],
                     now["median"] - last["median"], now["p25"] - last["p25"]))
        before = now
    return rows


def alternative_rows(data):
    """(label, difference of medians, difference of lower quartiles) in microseconds."""
    layers = {name.removeprefix("alt: "): row for name, row in data.get("layers", {}).items()
              if name.startswith("alt: ")}
    rows = []
    for label, row in layers.items():
        base = layers.get(OTHER_BASE.get(label, "base"))
        if label != "base" and label not in OTHER_BASE.values() and base is not None:
            rows.append((label, row["median"] - base["median"], row["p25"] - base["p25"]))
    return rows


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def columns(rows, header):
    """Plain text, first column left, the others right."""
    cells = [header, *[[str(c) for c in row] for row in rows]]
    widths = [max(len(r[i]) for r in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        lines.append("  ".join([first, *[c.rjust(w) for c, w in zip(row[1:], widths[1:])]]).rstrip())
    lines.insert(1, "-" * len(lines[0]))
    return lines


def tables(data):
    """(heading, header, rows) of everything that was measured."""
    out = []
    if data.get("starts"):
        rows = [[name, number(row["median"] / 1000, 3), number(net(data, name) / 1000, 3),
                 number(row["p10"] / 1000, 3), number(row["p90"] / 1000, 3), row["count"], row["failures"],
                 "noisy" if row["spread"] > NOISY_SPREAD else ""] for name, row in data["starts"].items()]
        out.append(("Start, ms", ["what", "median", "less harness", "p10", "p90", "runs", "failed", ""], rows))
    rows = [[t["name"], number(t["value"]), f"{t['op']} {t['goal']}" if t["goal"] is not None else "-",
             number(t["floor"]), t["verdict"]] for t in data["targets"]]
    out.append(("Targets", ["target", "measured", "goal", "floor", "verdict"], rows))
    if data.get("loops"):
        rows = [[name, number(row["per_second"], 0), row["failures"]] for name, row in data["loops"].items()]
        out.append(("Two parallel loops", ["what", "starts/s", "failed"], rows))
    if data.get("growth"):
        rows = [[name, row["alive"], number(row["before_us"] / 1000, 3), number(row["during_us"] / 1000, 3),
                 number(row["after_us"] / 1000, 3), number(row["ratio"])] for name, row in data["growth"].items()]
        out.append(("A start with its like asleep, ms", ["what", "alive", "before", "during", "after", "ratio"], rows))
    if data.get("memory"):
        rows = [[name, row["pss_kib"], row["rss_kib"], row["peak_kib"], row["others"], row["others_pss_kib"],
                 row["others_peak_kib"]] for name, row in data["memory"].items()]
        out.append(("Memory of one sleeping sandbox, KiB",
                    ["what", "PSS", "RSS", "peak", "helpers", "their PSS", "their peak"], rows))
    if data.get("compile"):
        c = data["compile"]
        out.append(("CPU time of a compile, s", ["files", "raw", "inside", "ratio"],
                    [[c["files"], number(c["raw_s"]), number(c["inside_s"]), number(c["ratio"], 3)]]))
    layers = layer_rows(data)
    if layers:
        rows = [[label, f"{share:+.0f}", f"{quiet:+.0f}", f"{total:.0f}"] for label, total, share, quiet in layers]
        out.append(("Floor, layer upon layer, us", ["layer", "share", "at p25", "total"], rows))
    if data.get("stages"):
        rows = [[name, number(value, 1)] for name, value in data["stages"].items()]
        out.append(("Inside the full floor, us (parent and child overlap)", ["stage", "median"], rows))
    if alternative_rows(data):
        rows = [[label, f"{delta:+.0f}", f"{quiet:+.0f}"] for label, delta, quiet in alternative_rows(data)]
        out.append(("Other ways, us against the same base", ["way", "difference", "at p25"], rows))
    return [*out, *(table for part in (commands, oci, engine_runs, pods, outbound, wasm, images_report) for table in part.tables(data))]


def footnotes(data):
    notes = [f"absent: {name}: {reason}" for name, reason in data.get("absent", {}).items()]
    notes += [f"skipped: {name}: {reason}" for name, reason in data.get("skipped", {}).items()]
    rows = [*data.get("starts", {}).items(), *data.get("layers", {}).items()]
    failed = [name for name, row in rows if row["failures"]]
    notes += [f"some runs failed: {name}" for name in failed]
    notes += [note for part in (commands, oci, engine_runs, wasm, images_report) for note in part.notes(data)]
    if any(row["spread"] > NOISY_SPREAD for row in data.get("starts", {}).values()):
        notes.append("noise is large (rows marked noisy): trust ratios more than times")
    return notes


def text(data):
    m = data["machine"]
    lines = [f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']} {m['machine']}, {m['date']}, "
             f"load {m['load_average']:.2f}"]
    for heading, header, rows in tables(data):
        lines += ["", heading, *columns(rows, header)]
    notes = footnotes(data)
    return "\n".join(lines + ([""] + notes if notes else [])) + "\n"


def markdown(data):
    m = data["machine"]
    lines = ["# Bench results", "", f"- CPU: {m['cpu']}, {m['cores']} cores ({m['machine']})",
             f"- kernel: Linux {m['kernel']}", f"- date: {m['date']}",
             f"- load average at the start: {m['load_average']:.2f}", ""]
    for heading, header, rows in tables(data):
        lines += [f"## {heading}", "", "| " + " | ".join(header) + " |",
                  "|---" + "|---:" * (len(header) - 1) + "|"]
        lines += ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]
        lines.append("")
    notes = footnotes(data)
    if notes:
        lines += ["## Notes", "", *[f"- {note}" for note in notes], ""]
    return "\n".join(lines)


def colour_of(name):
    return "ours" if name.startswith("cloister") else "floor" if name.startswith("floor") else "other"


def svg(data):
    m = data["machine"]
    chart = Chart("Starting a sandbox", f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}, {m['date'][:10]}; "
                  "medians of interleaved runs, less the cost of the harness")
    bars = [(name, 0, net(data, name) / 1000, colour_of(name), f"{net(data, name) / 1000:.2f} ms")
            for name in data.get("starts", {}) if name != "harness"]
    chart.panel("run true", sorted(bars, key=lambda b: b[2]), "ms")
    layers = [(label, (total - share) / 1000, total / 1000, "layer", f"{share:+.0f} us")
              for label, total, share, _ in layer_rows(data)]
    chart.panel("The floor, layer upon layer", layers, "ms")
    rates = [(name, 0, row["per_second"], colour_of(name), f"{row['per_second']:.0f}")
             for name, row in data.get("loops", {}).items()]
    chart.panel("Starts a second in two parallel loops", rates, "1/s")
    pulls = [(name, 0, row["wall_s"], colour_of(name), f"{row['wall_s']:.2f} s")
             for name, row in dig(data, "pulls", "rows", default={}).items()]
    chart.panel("Cold pull of an image", sorted(pulls, key=lambda b: b[2]), "s")
    return chart.render()


def write(data, out):
    (out / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "results.md").write_text(markdown(data))
    (out / "results.svg").write_text(svg(data))
