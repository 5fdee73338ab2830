#!/usr/bin/env python3
"""Prints one line about a result record and checks that the run ended as expected.

usage: result.py EXIT-STATUS EXPECTED-STATUS EXPECTED-EXIT EXPECTED-LIMIT < RESULT.json
EXPECTED-LIMIT is - when no limit has to be named.
"""
import json
import sys


def describe(record, exit_status):
    peak = record["usage"]["memory_peak_bytes"]
    cpu = [record["usage"][f"cpu_{kind}_ns"] for kind in ("user", "system")]
    words = [
        f"status {record['status']}",
        f"exit {exit_status}",
        "limits hit: " + (", ".join(record["limits_hit"]) or "none"),
        f"{record['time_ns']['run'] / 1e9:.2f} s",
    ]
    words.append("CPU not measured" if None in cpu else f"{sum(cpu) / 1e9:.2f} s of CPU")
    words.append("memory not measured" if peak is None else f"{peak / (1 << 20):.1f} MiB at most")
    return " | ".join(words)


def main(exit_status, status, expected_exit, limit):
    try:
        record = json.load(sys.stdin)
    except ValueError:
        print(f"no result record; exit {exit_status}")
        return 1
    print(describe(record, exit_status))
    wrong = []
    if record["status"] != status:
        wrong.append(f"the status should be {status}")
    if exit_status != expected_exit:
        wrong.append(f"the exit status should be {expected_exit}")
    if limit != "-" and limit not in record["limits_hit"]:
        wrong.append(f"the limit '{limit}' should be named")
    if wrong:
        print("; ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
