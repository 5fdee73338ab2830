"""The CRI's own tests of a node (critest), with cloister-oci as containerd's default runtime.

tests/engines/critest.txt names what may fail or be skipped, and why. The same with another runtime:

    CLOISTER_OCI=/usr/sbin/runc /usr/bin/python3 -m pytest -c tests/pytest.ini --rootdir tests tests/integration/test_engines_critest.py -s
"""

import collections
import json
import re
import subprocess
from pathlib import Path

import pytest

from lib import oci
from lib.cri import Controlled, ControlledCri, Cri, Runtime, Sandboxer, Shim
from lib.patience import patience

LIST = Path(__file__).resolve().parents[1] / "engines/critest.txt"
PASSED_BY_RUNC = 101  # Debian 12's 1.1.5, of 122, where there is no AppArmor
SEED = 1  # of their order


def read_rows(text):
    """The list's lines as {word: [expression, ...]}."""
    rows = collections.defaultdict(list)
    for number, line in enumerate(text.splitlines(), 1):
        words, mark, reason = (part.strip() for part in line.partition(" # "))
        if not words or words.startswith("#"):
            continue
        word, _, name = words.partition(" ")
        if word not in ("fails", "skips") or not name or not reason:
            raise pytest.UsageError(f"{LIST}:{number}: not `fails` or `skips`, NAME # reason")
        rows[word].append(re.compile(re.escape(name.strip()).replace(r"\*", ".*")))
    return rows


def run_critest(cri):
    """{how it ended: {name: why}}, and the seconds that it took."""
    report = cri.place / "report.json"
    flags = ["-config", cri.place / "crictl.yaml", "-runtime-endpoint", "unix:///run/containerd/containerd.sock", f"-ginkgo.json-report={report}",
             f"-ginkgo.seed={SEED}", "-ginkgo.no-color", f"-ginkgo.timeout={patience(240):.0f}s", "-ginkgo.grace-period=10s"]
    done = subprocess.run(cri.words("critest", *flags), env=cri.env, capture_output=True, timeout=patience(280), cwd="/")
    assert report.exists(), done
    suite, found = json.loads(report.read_text())[0], collections.defaultdict(dict)
    for spec in suite["SpecReports"]:
        name = " ".join([*(spec["ContainerHierarchyTexts"] or [spec["LeafNodeType"]]), spec["LeafNodeText"]]).removeprefix("[k8s.io] ")
        if spec["LeafNodeType"] == "It" or spec["State"] != "passed":
            found[spec["State"]][name] = spec.get("Failure", {}).get("Message", "")
    return found, suite["RunTime"] / 1e9


def look_at_failures(results, known):
    failed = {name: why for state, names in results.items() if state not in ("passed", "skipped") for name, why in names.items()}
    strange = {name: why for name, why in failed.items() if not any(row.fullmatch(name) for row in known)}
    old = [row.pattern for row in known if not any(map(row.fullmatch, failed))]
    assert not strange and not old, f"failed: {strange}; passed, though it is in {LIST.name}: {old}"


def look_at_user_namespaces(results):
    """containerd looks into what the runtime says of itself (`features`): a field that it misses there skips them all."""
    names = [name for name in results["passed"] if "UserNamespaces" in name]
    assert len(names) == 6, names


@pytest.mark.parametrize("kind", [Runtime, Shim, Sandboxer, Controlled])
def test_critest(world, kind):
    """One test of each, since it is one run: with -n, those of one file go to both processes."""
    known, runtime = read_rows(LIST.read_text(encoding="utf-8")), oci.program()
    if issubclass(kind, Shim):
        runtime = runtime.with_name("containerd-shim-cloister-v2")
    node = ControlledCri if kind is Controlled else Cri
    with node(world.directory("critest"), kind(runtime)) as cri:
        results, seconds = run_critest(cri)
    print(f"\ncritest with {runtime} ({kind.__name__}):", ", ".join(f"{len(names)} {state}" for state, names in sorted(results.items())), f"in {seconds:.0f} s")
    look_at_failures(results, known["fails"])
    strange = {name: why for name, why in results["skipped"].items() if not any(row.fullmatch(name) for row in known["skips"])}
    assert not strange, f"skipped: {strange}"
    assert len(results["passed"]) >= PASSED_BY_RUNC, results["passed"].keys()
    if runtime.name not in oci.REFERENCES:
        look_at_user_namespaces(results)
