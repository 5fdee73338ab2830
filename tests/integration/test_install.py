"""make install: what it puts where, that it runs from there and from elsewhere, and that it can be taken away.

tools/install.sh configures build/ for the prefix. So it is given the checkout with a layer over it that takes
what is written, in a mount namespace of its own: the checkout stays as it is, and may be read-only.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lib.runner import Cloister, text
from lib.world import command

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "/opt/cloister-test"
# layer LAYER CHECKOUT COMMAND...; what was built for another place has to be built again, in the layer
IN_A_LAYER = """
mount -t tmpfs layer "$1"
mkdir "$1/below" "$1/above" "$1/work"
mount --bind "$2" "$1/below"
mount -t overlay -o "lowerdir=$1/below,upperdir=$1/above,workdir=$1/work" layer "$2"
cd "$2"
built=$(head -n 1 build/core/.identity) || true
[ "$(readlink -f "$built")" = "$2" ] || tools/build.sh core helpers
shift 2
exec "$@"
"""
PROFILES = {"cloister", "cloister-sandbox"}
SANDBOX = "cloister-sandbox"
ABIS = Path("/etc/apparmor.d/abi")  # what kernels' AppArmor can do: profiles are read for one of these, not for ours
NEWEST = ABIS / "4.0"  # of parsers that know `userns`
PAGES = {page.stem for page in (REPOSITORY / "docs/man").glob("*.scd")}
SCRIPTS = {"bash": "share/bash-completion/completions/cloister", "zsh": "share/zsh/site-functions/_cloister",
           "fish": "share/fish/vendor_completions.d/cloister.fish"}
PROGRAMS = {"bin/cloister", "bin/cloister-oci", "bin/cloisterd", "bin/containerd-shim-cloister-v2", "libexec/cloister/cloister-plan",
            "libexec/cloister/cloister-image", "libexec/cloister/cloister-fetch", "libexec/cloister/cloister-systemd",
            "libexec/cloister/cloister-grpc"}
WASM = REPOSITORY / "build/wasm"  # of make wasm, which not everybody asks for
if (WASM / "cloister-wasm").exists() and (WASM / ".identity").read_text().splitlines()[0] == str(REPOSITORY):
    PROGRAMS |= {f"libexec/cloister/{name}" for name in ("cloister-wasm", "cloister-wasm-component", "cloister-wasmc", "cloister-wasmedge")}
WANTED = {*PROGRAMS, *SCRIPTS.values(), "lib/systemd/system/cloisterd.service", *(f"share/man/man{page[-1]}/{page}" for page in PAGES),
          *(f"share/cloister/apparmor.d/{name}" for name in PROFILES),
          *(f"share/cloister/selinux/{name}" for name in ("cloister.te", "cloister-types.te"))}


def install(world, root, *words, prefix=PREFIX):
    """tools/install.sh below the directory root, by somebody whose umask is strict; what it says."""
    return command("unshare", "-m", "sh", "-ec", IN_A_LAYER, "layer", world.directory("layer"), REPOSITORY,
                   "tools/install.sh", *words, timeout=280, cwd="/", umask=0o077,
                   env={**os.environ, "DESTDIR": str(root), "PREFIX": prefix})


def files(top):
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def installed(world):
    """(DESTDIR, what was said)"""
    root = world.directory("destdir")
    return root, install(world, root)


@pytest.fixture
def prefix(installed):
    return installed[0] / PREFIX.lstrip("/")


def test_these_files_are_installed_and_no_more(installed):
    assert files(installed[0]) == {f"{PREFIX[1:]}/{name}" for name in WANTED}


def test_what_is_installed_is_said(installed):
    root, said = installed
    assert {line.strip() for line in said.splitlines() if line.startswith("    ")} == {f"{root}{PREFIX}/{name}" for name in WANTED}


def test_everybody_may_read_and_nobody_but_root_write(prefix):
    for path in (prefix, *prefix.rglob("*")):
        seen = path.stat()
        executable = path.is_dir() or str(path.relative_to(prefix)) in PROGRAMS
        assert stat.S_IMODE(seen.st_mode) == (0o755 if executable else 0o644), path
        assert (seen.st_uid, seen.st_gid) == (0, 0), path


def test_the_programs_are_stripped(prefix):
    for name in PROGRAMS:
        assert ".debug_info" not in command("readelf", "-SW", prefix / name), name


def test_the_profile_names_the_programs_place(prefix):
    assert f"profile cloister {PREFIX}/{{bin/cloister," in (prefix / "share/cloister/apparmor.d/cloister").read_text()


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_is_of_its_section(prefix, page):
    name, _, section = page.rpartition(".")
    assert f'.TH "{name}" "{section}"' in (prefix / f"share/man/man{section}" / page).read_text()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_completion_is_the_programs_own(prefix, shell):
    said = command(prefix / "bin/cloister", "completion", shell)
    assert (prefix / SCRIPTS[shell]).read_text() == said


def run_with_policy(world, prefix, identity, name):
    """Nobody compiled this policy before: the helper is needed."""
    policy = world.directory("policy") / "policy.yaml"
    policy.write_text(f"env: {{WHERE: {policy.parent}-{name}}}\n")
    cloister = Cloister(world, prefix / "bin/cloister", identity)
    return policy.parent, cloister.run("host", "sh", "-c", "echo $WHERE", opts=["--policy", policy])


@pytest.mark.parametrize("identity", ["root", "user"])
def test_it_runs(world, prefix, nothing_left, identity):
    given, outcome = run_with_policy(world, prefix, identity, "installed")
    assert outcome.ok().lines() == [f"{given}-installed"]


@pytest.fixture
def moved(world, prefix):
    """The same tree under another name, of another depth."""
    return Path(shutil.copytree(prefix, world.directory("moved") / "a/b c"))


@pytest.mark.parametrize("identity", ["root", "user"])
def test_it_runs_where_it_was_moved(world, moved, nothing_left, identity):
    given, outcome = run_with_policy(world, moved, identity, "moved")
    assert outcome.ok().lines() == [f"{given}-moved"]


def test_it_has_no_other_helper_than_its_own(world, moved):
    (moved / "libexec/cloister/cloister-plan").unlink()
    run_with_policy(world, moved, "root", "alone")[1].refused("cloister-plan is missing", f"{moved}/bin/../libexec/cloister")


def test_a_link_to_it_is_as_good(world, prefix):
    """As /usr/local/bin has them of what is in /opt."""
    other = world.directory("link")
    (other / "bin").mkdir()
    (other / "bin/cloister").symlink_to(prefix / "bin/cloister")
    run_with_policy(world, other, "root", "linked")[1].ok()


def test_a_package_has_the_profiles_in_etc_and_all_is_removed(world):
    root = world.directory("destdir")
    install(world, root, prefix="/usr")
    assert files(root) == {f"usr/{name}" for name in WANTED} | {f"etc/apparmor.d/{name}" for name in PROFILES}
    others = root / "usr/share/man/man1/other.1"
    others.write_text("of somebody else\n")
    install(world, root, "--remove", prefix="/usr")
    assert files(root) == {"usr/share/man/man1/other.1"}
    assert {path.name for path in (root / "usr").rglob("*") if path.is_dir()} == {"share", "man", "man1"}


def test_a_relative_prefix_is_refused(world):
    done = subprocess.run([REPOSITORY / "tools/install.sh"], capture_output=True, timeout=60,
                          env={**os.environ, "DESTDIR": str(world.directory("destdir")), "PREFIX": "here"})
    assert done.returncode == 1 and "PREFIX has to be an absolute path" in text(done.stderr), done


# --- AppArmor's own opinion of the profiles; its parser needs no kernel for that --------

def parse(profile, *options):
    """The parser's exit status, with what it prints and complains about; rules that the kernel would not enforce are errors."""
    abi = re.search(r"^abi <abi/(.+)>", profile.read_text(), re.MULTILINE).group(1)
    done = subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--Werror", "-M", ABIS / abi, *options, profile],
                          capture_output=True, timeout=60)
    return done.returncode, text(done.stdout), text(done.stderr)


@pytest.fixture(params=sorted(PROFILES))
def profile(request, world, prefix):
    """A profile as it was installed, without what this parser is too old for."""
    installed = prefix / "share/cloister/apparmor.d" / request.param
    if request.param != "cloister" or NEWEST.exists():
        return installed
    without, count = re.subn(r"^  userns,$", "", installed.read_text().replace("abi/4.0", "abi/3.0"), flags=re.MULTILINE)
    assert count == 1
    older = world.directory("older") / request.param
    older.write_text(without)
    return older


def test_the_parser_takes_the_profile(profile):
    assert parse(profile) == (0, "", "")


def test_the_parser_misses_the_end_of_each_line(world, profile):
    """So it reads every one."""
    lines = profile.read_text().splitlines()
    broken = world.directory("broken") / profile.name
    for at, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            broken.write_text("\n".join([*lines[:at], line[:-1], *lines[at + 1:], ""]))
            status, _, said = parse(broken)
            assert status == 1 and "error" in said, f"{line!r}: {said!r}"


def test_the_profiles_have_the_names_that_others_use(profile):
    """The files', which manuals have and the rules for signals; and what a sandbox asks the kernel for."""
    assert parse(profile, "--names") == (0, f"{profile.name}\n", "")
    assert f'#define CL_APPARMOR_PROFILE "{SANDBOX}"\n' in (REPOSITORY / "src/base/apparmor.h").read_text()


def rules(prefix, kind):
    """The profile's rules of that kind, without the word."""
    profile = prefix / "share/cloister/apparmor.d" / SANDBOX
    return set(re.findall(rf"^  {kind} (.*),$", profile.read_text(), re.MULTILINE))


def test_sandboxes_hear_from_cloister_and_talk_to_each_other_alone(prefix):
    assert rules(prefix, "signal") == {"(receive) peer=unconfined", "(receive) peer=cloister", f"(send, receive) peer={SANDBOX}"}
    assert rules(prefix, "ptrace") == {f"(trace, read, tracedby, readby) peer={SANDBOX}"}


def test_apparmor_allows_the_capabilities_of_the_build_profile(as_root, prefix):
    look = "sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status"
    held = as_root.run("host", "sh", "-c", look, opts=["--profile", "build"]).ok().word()
    assert {f"cap_{name}" for name in rules(prefix, "capability")} == set(
        command("capsh", f"--decode={held}").strip().partition("=")[2].split(","))


def test_an_older_parser_would_refuse_the_profile_for_cloister(prefix):
    """And with it a reload of all: so tools/install.sh looks for the newer one's files before it puts it into /etc."""
    if not NEWEST.exists():
        done = subprocess.run(["apparmor_parser", "-Q", "-K", prefix / "share/cloister/apparmor.d/cloister"], capture_output=True, timeout=60)
        assert done.returncode == 1 and "abi/4.0" in text(done.stderr), done
