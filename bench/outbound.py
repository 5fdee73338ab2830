"""Throughput of --network outbound against pasta alone, between two network namespaces of the bench's own.

`host` is where cloister and pasta run; a veth leads to `world`, where the server is. Nothing leaves
this machine.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile

import images  # for tests/lib on the path
from rig import HERE, BenchError, need_tool

from lib.outer import TUN, Namespace

HOST, WORLD, OUTSIDE = "10.9.0.1", "10.9.0.2", "198.51.100.7"
FLOW = HERE / "flow.py"
BYTES = {"receive": 512 << 20, "send": 128 << 20}  # sending stalls now and then: docs/network.md
NOBODY = "65534"


@contextlib.contextmanager
def namespaces():
    host, world = Namespace(), Namespace()
    server = None
    try:
        host.sh(f"ip link set lo up; ip link add out0 type veth peer name out1 netns {world.keeper.pid}; "
                f"ip addr add {HOST}/24 dev out0; ip link set out0 up")
        world.sh(f"ip link set lo up; ip addr add {WORLD}/24 dev out1; ip link set out1 up; ip addr add {OUTSIDE}/32 dev lo; "
                 f"ip route add default via {HOST}")
        host.sh(f"ip route add default via {WORLD}")
        server = subprocess.Popen([*world.words(), sys.executable, str(FLOW), "serve"], stdout=subprocess.PIPE, text=True)
        if server.stdout.readline() != "ready\n":
            raise BenchError("the server of streams did not start")
        yield host
    finally:
        if server is not None:
            server.kill()
            server.wait()
            server.stdout.close()
        host.close()
        world.close()


def seconds(argv):
    """None when the stream failed."""
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return float(ran.stdout) if ran.returncode == 0 else None


def outbound(rig, turns):
    """In turn: each way, by each; the median of what came through, and how many streams failed."""
    python, pasta = need_tool("/usr/bin/python3"), need_tool("pasta")
    if os.geteuid() != 0:
        raise BenchError("network namespaces need root")
    times = {way: {"cloister": [], "pasta alone": []} for way in BYTES}
    with namespaces() as host, tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        flow = os.path.join(shared, "flow.py")
        with open(flow, "w") as file:
            file.write(FLOW.read_text())
        os.chmod(flow, 0o644)
        view = [*host.words(), "unshare", "-m", "sh", "-c", f'mount --make-rprivate / && {TUN} && exec "$@"', "view"]
        for turn in range(turns + 1):
            for way, count in BYTES.items():
                words = [way, OUTSIDE, str(count)]
                by = {
                    "cloister": rig.cloister_run("--network", "outbound", "-v", f"{flow}:/tmp/flow.py", "host", "--", python, "/tmp/flow.py", *words),
                    # root's pasta becomes somebody else by itself, and then may not make its user namespace
                    "pasta alone": ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", pasta, "--config-net", "-q", "--",
                                    python, flow, *words],
                }
                for name, argv in by.items():
                    took = seconds([*view, *argv])
                    if turn > 0:  # the first fills caches
                        times[way][name].append(took)
    return {way: {name: row(BYTES[way], values) for name, values in by.items()} for way, by in times.items()}


def row(count, values):
    done = [value for value in values if value is not None]
    return {"bytes": count, "failures": len(values) - len(done),
            "mib_per_second": count / (1 << 20) / statistics.median(done) if done else None,
            "slowest_s": max(done, default=None)}


def targets(data):
    def ratio(way):
        speeds = {name: row["mib_per_second"] for name, row in data.get("outbound", {}).get(way, {}).items()}
        return speeds["cloister"] / speeds["pasta alone"] if all(speeds.values()) and speeds else None
    return [(f"outbound, {what} / pasta alone", ratio(way), ">=", 0.9) for way, what in [("receive", "receiving"), ("send", "sending")]]


def tables(data):
    rows = [[name, way, f"{row['mib_per_second'] or 0:.0f}", f"{row['slowest_s'] or 0:.1f}", row["failures"]]
            for way, by in data.get("outbound", {}).items() for name, row in by.items()]
    return [("One stream to the outside, MiB/s", ["what", "way", "throughput", "slowest, s", "failed"], rows)] if rows else []
