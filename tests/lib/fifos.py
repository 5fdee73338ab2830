"""FIFOs as containerd makes them for a process's streams."""

import os


def fifo(place, name):
    """Its path, and our end for reading."""
    path = place / name
    os.mkfifo(path)
    return path, os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def read_all(fd):
    """All that is written there, until nobody has it open for that."""
    os.set_blocking(fd, True)
    with os.fdopen(fd, "rb") as stream:
        return stream.read()
