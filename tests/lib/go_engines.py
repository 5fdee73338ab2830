"""containerd 2, its tools and those of the CRI, which Debian 12 has not: built from Go modules (lib/go_modules.py).

    directory = go_engines.programs()   # containerd, ctr, containerd-shim-runc-v2, crictl, critest

nerdctl has a module of its own, since it wants other versions of what both have.
"""

from pathlib import Path

from lib.go_modules import Module

TESTS = Path(__file__).resolve().parents[1]
ENGINES = Module(TESTS / "engines", "engines", tests=("critest",))
NERDCTL = Module(TESTS / "engines-nerdctl", "nerdctl")


def programs():
    """The directory, made when it isn't there. Raises with what is missing."""
    return ENGINES.built()


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    print(programs(), NERDCTL.built(), sep="\n")
