"""What a result record has to look like (docs: the result record)."""

import re
from datetime import datetime

STATUSES = {"exited", "signaled", "timeout", "cpu_time", "oom", "output_limit", "killed", "error"}
LAYERS = {"userns", "pidns", "mountns", "netns", "ipcns", "utsns", "cgroupns", "readonly", "procmask", "devices",
          "nosuid", "capabilities", "no-new-privs", "securebits", "keyring", "seccomp", "landlock", "apparmor",
          "selinux", "limits", "disk-limit", "dumpable", "rlimits", "core-limit", "stdio", "userns-limit",
          "guest-users"}
LIMITS = {"memory", "swap", "cpus", "cpu_time", "time", "tasks", "disk", "output", "open_files", "file_size"}
USAGE = ("cpu_user_ns", "cpu_system_ns", "memory_peak_bytes", "tasks_peak", "io_read_bytes", "io_write_bytes",
         "stdout_bytes", "stderr_bytes")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def moment(value):
    """An RFC 3339 time as a datetime."""
    assert isinstance(value, str) and STAMP.fullmatch(value), f"not RFC 3339: {value!r}"
    # before 3.11's fromisoformat learnt nanoseconds nothing did: cut to microseconds
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value).replace("Z", "+00:00"))


def check_record(record):
    """Every key with its type; times in order."""
    for key in ("id", "wall", "image", "status"):
        assert isinstance(record[key], str) and record[key], f"{key}: {record[key]!r}"
    for key in ("name", "tenant", "digest", "error", "signal", "exit_code"):
        assert key in record, f"no {key} in {sorted(record)}"
    assert record["name"] is None or isinstance(record["name"], str)
    assert record["tenant"] is None or isinstance(record["tenant"], str)
    assert record["digest"] is None or re.fullmatch(r"sha256:[0-9a-f]{64}", record["digest"])
    assert record["error"] is None or isinstance(record["error"], str)
    assert record["signal"] is None or number(record["signal"]) or isinstance(record["signal"], str)
    assert record["exit_code"] is None or number(record["exit_code"])
    assert record["wall"] == "container"
    assert record["status"] in STATUSES
    assert isinstance(record["limits_hit"], list) and set(record["limits_hit"]) <= LIMITS
    assert len(set(record["limits_hit"])) == len(record["limits_hit"])
    assert isinstance(record["limits"], dict)
    assert isinstance(record["layers"], list) and len(set(record["layers"])) == len(record["layers"])
    assert set(record["layers"]) <= LAYERS
    assert isinstance(record["without"], list) and len(set(record["without"])) == len(record["without"])
    assert set(record["without"]) <= LAYERS - set(record["layers"])
    times = [moment(record[k]) for k in ("created_at", "started_at", "ended_at")]
    assert times == sorted(times), times
    for key in ("setup", "run", "teardown"):
        assert number(record["time_ns"][key]) and record["time_ns"][key] > 0, record["time_ns"]
    for key in USAGE:
        value = record["usage"][key]
        assert value is None or (number(value) and value >= 0), f"usage.{key}: {value!r}"
    return record
