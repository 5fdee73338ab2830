"""How long tests wait for things, where the processor is slow.

CLOISTER_PATIENCE multiplies every limit on waiting: the rig (tools/vm.sh) sets it, whose
processor is emulated. Elsewhere it is 1, and limits are what the tests say. It lengthens only
how long something may take, never how long something has to last.
"""

import os
import subprocess

FACTOR = float(os.environ.get("CLOISTER_PATIENCE", "1"))


def patience(seconds):
    """The seconds that a test may wait here for what takes at most so many elsewhere."""
    return seconds * FACTOR


def stretch_subprocess():
    """Let the timeouts of subprocess (run, communicate, wait) be as patient."""
    def stretched(name):
        plain = getattr(subprocess.Popen, name)

        def call(self, *args, timeout=None, **options):
            # both are called by the other functions of subprocess, and communicate calls wait
            if timeout is None and args and name == "wait":
                timeout, args = args[0], args[1:]
            elif timeout is None and len(args) > 1:
                timeout, args = args[1], args[:1]
            return plain(self, *args, timeout=None if timeout is None else patience(timeout), **options)
        return call

    for name in ("communicate", "wait"):
        setattr(subprocess.Popen, name, stretched(name))
