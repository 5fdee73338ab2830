"""The ordinary user that tests are, made where it is missing."""

import fcntl
import pwd
import subprocess

ORDINARY_USER = "cloister-test"
LOCK = "/run/cloister-test-user.lock"


def ordinary_user():
    """The password entry of the ordinary user.

    Two useradds at once can both succeed and leave the user with the second's uid in a
    home of the first's: the workers of one run make the user one after the other.
    """
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(ORDINARY_USER)
        except KeyError:
            pass
        done = subprocess.run(["useradd", "-m", ORDINARY_USER], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"useradd {ORDINARY_USER}: {done.stderr.strip()}")
        return pwd.getpwnam(ORDINARY_USER)
