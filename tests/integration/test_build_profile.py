"""The build profile at work: package managers in a Debian image, with the registries of this machine.

Each is told what this machine's own client is told (lib/package_managers.py), and has no more of
memory, disk and tasks than a sandbox has when nobody says anything.
"""

import os
import shutil

import pytest

from lib.outer import TUN
from lib.package_managers import MANAGERS, Unreachable, closed_addresses
from lib.real_image import TAG, real_image
from lib.runner import Cloister
from lib.world import command

pytestmark = pytest.mark.timeout(1800)  # the image may have to be made first
PLACE = "/srv/project"


class OnThisHost(Cloister):
    """cloister on the network of this machine, with /dev/net/tun as distributions have it."""

    def prefix(self):
        return ["unshare", "-m", "sh", "-c", f'mount --make-rprivate / && {TUN} && exec "$@"', "view", *super().prefix()]


def link(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


class Builder:
    """One identity with the image in a store of its own."""

    def __init__(self, cloister, world):
        self.cloister = cloister
        oci = real_image("toolchains").oci
        if cloister.identity == "user":  # who may not read our build directory
            copy = cloister.directory("image") / "oci"
            shutil.copytree(oci, copy, copy_function=link)
            oci = copy
        self.image = f"oci:{oci}:{TAG}"
        self.env = {"CLOISTER_STORE": str(world.directory("store", owner=cloister.identity, mode=0o700))}

    def run(self, script, opts=(), env=None, timeout=120):
        return self.cloister.run(self.image, "sh", "-c", script, opts=["--profile", "build", *opts], env={**self.env, **(env or {})},
                                 timeout=timeout)

    def build(self, manager, reach, script=None, network="outbound"):
        """A user's own project, with what this machine's client is told."""
        settings = manager.settings(self.cloister)
        project = self.cloister.directory("project")
        manager.write_project(project)
        opts = ["--network", network, *settings.options(), "--copy-in", f"{project}/.:{PLACE}", "-w", PLACE]
        for address in reach if network == "outbound" else ():
            opts += ["--network-reach", address]
        return self.run(script or manager.script, opts, settings.env)


@pytest.fixture(scope="module", params=["root", "user"])
def builder(request, world, binary, as_user, nothing_left_after_the_module):
    without = as_user.without if request.param == "user" else None
    made = Builder(OnThisHost(world, binary, request.param, without=without), world)
    made.run("true", timeout=600).ok()  # the image comes
    yield made
    command("rm", "-rf", made.env["CLOISTER_STORE"], timeout=120)  # of some 60,000 files: by C


@pytest.fixture(scope="module")
def reach(world):
    """Asks this machine's own client first, once: which addresses have to be opened for a sandbox."""
    answers, directory = {}, world.directory("asking")

    def ask(name):
        if name not in answers:
            try:
                answers[name] = closed_addresses(MANAGERS[name].ask_host(directory / name))
            except Unreachable as why:
                answers[name] = why
        if isinstance(answers[name], Unreachable):
            pytest.skip(str(answers[name]))
        return answers[name]

    return ask


def passed(outcome):
    outcome.ok()
    assert outcome.result["limits_hit"] == [], str(outcome)
    return outcome


@pytest.mark.parametrize("name", MANAGERS)
def test_package_manager(builder, reach, name):
    addresses = reach(name)
    lines = passed(builder.build(MANAGERS[name], addresses)).lines()
    assert lines[-1] == MANAGERS[name].prints
    if name == "apt":  # it took downloads to a user of its own: chown, setgroups, setgid, setuid
        assert lines[-2] == "_apt"


def test_nothing_is_had_without_the_network(builder, reach):
    """What the tests above build with comes from outside, and not with the image."""
    addresses = reach("go")
    outcome = builder.build(MANAGERS["go"], addresses, network="none")
    assert outcome.exit == 1 and b"lookup" in outcome.err, str(outcome)


# cron has a group and a set-gid program of it, ping asks for a file capability and is set-uid where that fails,
# and all of that belongs to whom dpkg says.
MODES = {"/usr/bin/crontab": "-rwxr-sr-x root crontab", "/var/spool/cron/crontabs": "drwx-wx--T root crontab",
         "/bin/ping": "-rwsr-xr-x root root"}


def test_packages_with_groups_and_set_id_programs(builder, reach):
    addresses = reach("apt")
    script = ("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends cron iputils-ping && "
              f"stat -c '%A %U %G' {' '.join(MODES)} && dpkg --audit")
    assert passed(builder.build(MANAGERS["apt"], addresses, script)).lines()[-len(MODES):] == list(MODES.values())
