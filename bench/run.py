#!/usr/bin/env python3
"""Measures Cloister's starts, size, running cost and images against its floor and its peers.

See README.md beside this file. Exit status: 0 measured (a missed target is
shown), 1 with --strict when a target was missed or not measured, 2 when the
bench itself could not run.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays clean, also under sudo

import commands  # noqa: E402
import engine_runs  # noqa: E402
import images  # noqa: E402
import images_erofs  # noqa: E402
import images_pull  # noqa: E402
import images_start  # noqa: E402
import measure  # noqa: E402
import oci  # noqa: E402
import outbound  # noqa: E402
import pods  # noqa: E402
import report  # noqa: E402
import wasm  # noqa: E402
from rig import BenchError, Rig  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent
PARTS = ["starts", "layers", "loops", "growth", "memory", "compile", *commands.PARTS, *oci.PARTS, *engine_runs.PARTS, *pods.PARTS, "outbound", *wasm.PARTS, *images.PARTS]


def options(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cloister", type=pathlib.Path, default=TOP / "build/bin/cloister", metavar="PROGRAM")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "build/bench", metavar="DIR")
    parser.add_argument("--only", metavar="PART,...", help=f"of {','.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=200, help="starts of each competitor (at least 50)")
    parser.add_argument("--seconds", type=int, default=4, help="of each turn of the parallel loops")
    parser.add_argument("--alive", type=int, default=200, help="sleeping sandboxes for the growth")
    parser.add_argument("--files", type=int, default=60, help="C files of the compile")
    parser.add_argument("--pulls", type=int, default=7, help="cold pulls by each competitor, and turns of the EROFS walks (at least 1)")
    parser.add_argument("--peers", metavar="NAME,...", help=f"of {','.join(images_pull.PEERS)}: who pulls beside us; default: all")
    parser.add_argument("--oci", type=pathlib.Path, metavar="DIR", help="an OCI directory with an image tagged latest, in place of the real image")
    parser.add_argument("--quick", action="store_true", help="50 rounds, 2 s loops, 3 turns of the compile, 5 pulls")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed or not measured")
    chosen = parser.parse_args(argv)
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.pulls = 50, 2, min(chosen.pulls, 5)
    if chosen.rounds < 50:
        parser.error("--rounds: a median of fewer than 50 says little")
    chosen.parts = chosen.only.split(",") if chosen.only else PARTS
    if chosen.pulls < 1:
        parser.error("--pulls: at least 1")
    for part in chosen.parts:
        if part not in PARTS:
            parser.error(f"--only: {part} is none of {','.join(PARTS)}")
    chosen.peers = chosen.peers.split(",") if chosen.peers is not None else None
    for peer in chosen.peers or []:
        if peer not in images_pull.PEERS:
            parser.error(f"--peers: {peer} is none of {','.join(images_pull.PEERS)}")
    return chosen


class Bench:
    """One run of the bench: the rig, what is compared, and what was found so far."""

    def __init__(self, chosen, rig):
        self.chosen, self.rig = chosen, rig
        self.images = None
        self.rows = {row.name: row for row in rig.competitors()}
        self.data = {"machine": report.machine(), "skipped": {},
                     "absent": {n: r.absent for n, r in self.rows.items() if r.absent}}

    def present(self, *names):
        return [self.rows[name] for name in names if not self.rows[name].absent]

    def starts(self):
        # slow engines run in every k-th round: enough rounds for 50 of each
        rounds = max(self.chosen.rounds, 50 * max(row.every for row in self.rows.values()))
        self.data["starts"] = measure.starts(self.rig, list(self.rows.values()), rounds)

    def layers(self):
        waterfall = self.rig.waterfall()
        rows = [self.rows["harness"], *waterfall, *self.rig.alternatives()]
        self.data["waterfall"] = [row.name for row in waterfall]
        self.data["layers"] = measure.starts(self.rig, rows, self.chosen.rounds)
        self.data["stages"] = measure.stages(self.rig, self.rig.floor_full(), self.chosen.rounds)

    def loops(self):
        rows = self.present("cloister", "cloister --without limits", "bwrap", "floor, full", "floor, no cgroups")
        self.data["loops"] = measure.loops(self.rig, rows, self.chosen.seconds)

    def sleeping(self):
        """name -> the command line that sleeps; floor's own process answers for its sandbox."""
        token, image = measure.SLEEP_TOKEN, f"rootfs:{self.rig.rootfs}"
        commands = {
            "cloister": self.rig.cloister_run("--timeout", "1h", image, "sleep", token),
            "floor, full": self.rig.floor_full(f"/bin/sleep {token}"),
            "bwrap": self.rig.bwrap("/bin/sleep", token, extra=["--die-with-parent"]),
        }
        return {name: argv for name, argv in commands.items() if not self.rows[name].absent}

    def growth(self):
        self.data["growth"] = {}
        for name, argv in self.sleeping().items():
            self.data["growth"][name] = measure.growth(
                self.rig, self.rows[name], argv, self.rows["harness"], self.chosen.alive, max(50, self.chosen.rounds // 2))

    def memory(self):
        self.data["memory"] = {name: measure.memory(argv) for name, argv in self.sleeping().items()}

    def compile(self):
        if self.rows["cloister"].absent:
            self.data["skipped"]["compile"] = self.rows["cloister"].absent
            return
        self.data["compile"] = measure.compile_cost(self.rig, self.chosen.files, 3 if self.chosen.quick else 5)

    def command_part(self, part):
        if self.rows["cloister"].absent:
            raise BenchError(self.rows["cloister"].absent)
        rounds, turns = self.chosen.rounds, 3 if self.chosen.quick else 7
        measures = {
            "exec": lambda: commands.exec_cost(self.rig, rounds),
            "detach": lambda: commands.detach(self.rig, rounds),
            "stats": lambda: commands.stats(self.rig, self.chosen.alive, rounds),
            "cp": lambda: commands.copy(self.rig, turns),
            "judge": lambda: commands.judge(self.rig, turns),
            "oci": lambda: oci.oci(self.rig, rounds),
            "engine": lambda: engine_runs.engine(self.rig, rounds),
            "pods": lambda: pods.pods(self.rig, turns),
            "outbound": lambda: outbound.outbound(self.rig, turns),
            "wasm": lambda: wasm.wasm(self.rig, rounds, turns),
        }
        self.data[part] = measures[part]()

    def image_part(self, part):
        if self.images is None:
            self.images = images.ImageRig(self.rig, self.chosen.oci)
        rounds, pulls = self.chosen.rounds, self.chosen.pulls
        measures = {
            "pulls": lambda: images_pull.pulls(self.images, pulls, self.chosen.peers),
            "layer": lambda: images_pull.layer(self.images, pulls),
            "pull-warm": lambda: images_pull.pull_warm(self.images, rounds),
            # differences of tenths of a millisecond: a median of 200 moves by as much
            "image-starts": lambda: images_start.starts(self.images, 5 * rounds),
            "erofs": lambda: images_erofs.erofs(self.images, max(100, rounds // 2), min(pulls, 3)),
        }
        self.data[part] = measures[part]()

    def close(self):
        if self.images is not None:
            self.images.close()

    def run(self):
        for part in self.chosen.parts:
            began = time.monotonic()
            try:
                if part in [*commands.PARTS, *oci.PARTS, *engine_runs.PARTS, *pods.PARTS, "outbound", *wasm.PARTS]:
                    self.command_part(part)
                elif part in images.PARTS:
                    self.image_part(part)
                else:
                    getattr(self, part)()
            except (BenchError, RuntimeError, OSError, subprocess.SubprocessError) as error:  # one part's failure must not cost the others
                self.data["skipped"][part] = images.reason(error)
            print(f"bench: {part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        self.data["targets"] = report.targets(self.data)


def main(argv):
    chosen = options(argv)
    if os.geteuid() != 0:
        raise BenchError("needs root: it makes namespaces with id ranges, device nodes and cgroups")
    chosen.out = chosen.out.resolve()
    chosen.out.mkdir(parents=True, exist_ok=True)
    rig = Rig(chosen.out, chosen.cloister.resolve())
    try:
        bench = Bench(chosen, rig)
        try:
            bench.run()
        finally:
            bench.close()
    finally:
        rig.close()
    print(report.text(bench.data))
    report.write(bench.data, chosen.out)
    print(f"written: {chosen.out}/results.json, results.md, results.svg")
    missed = [t for t in bench.data["targets"] if t["verdict"] in ("MISS", "NOT MEASURED")]
    return 1 if chosen.strict and missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
