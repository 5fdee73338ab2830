"""Where a runtime sends the master end of a container's terminal, and who sits at it."""

import array
import fcntl
import os
import select
import socket
import struct
import termios
import threading

from lib.patience import patience

WAIT = 20


def receive_descriptors(connection, most=8):
    """One message with its descriptors: (bytes, [descriptor])."""
    numbers = array.array("i")
    data, controls, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(most * numbers.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(payload[:len(payload) - len(payload) % numbers.itemsize])
    return data, list(numbers)


class Listener:
    """A listening stream socket; what comes by one connection."""

    def __init__(self, path, owner=None):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience(WAIT))
        self.socket.bind(self.path)
        self.socket.listen(8)
        if owner is not None:
            os.chown(self.path, *owner)

    def waits(self):
        """Has nobody come yet?"""
        return not select.select([self.socket], [], [], 0)[0]

    def accept(self):
        connection, _ = self.socket.accept()
        connection.settimeout(patience(WAIT))
        return connection

    def close(self):
        self.socket.close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class ConsoleSocket(Listener):
    """What --console-socket names."""

    def receive(self):
        """The Pty whose master a runtime sends; there has to be exactly one."""
        with self.accept() as connection:
            name, descriptors = receive_descriptors(connection)
        assert len(descriptors) == 1, f"{len(descriptors)} descriptors came, with {name!r}"
        return Pty(descriptors[0], name)


class Pty:
    """The master end of a pseudo-terminal; what is written there is collected."""

    def __init__(self, master, name=b""):
        self.master, self.name = master, name
        assert os.isatty(master), f"no terminal: {os.readlink(f'/proc/self/fd/{master}')}"
        self.seen, self.ended, self.news = bytearray(), False, threading.Condition()
        self.wake_read, self.wake_write = os.pipe()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            ready, _, _ = select.select([self.master, self.wake_read], [], [])
            if self.wake_read in ready:
                return
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                data = b""  # EIO: nobody has the other end
            with self.news:
                self.seen += data
                self.ended = not data
                self.news.notify_all()
            if not data:
                return

    def expect(self, wanted, timeout=WAIT):
        """Wait until it was written; all that was."""
        with self.news:
            came = self.news.wait_for(lambda: wanted in self.seen or self.ended, patience(timeout))
            assert came and wanted in self.seen, f"{wanted!r} never came on the terminal: {bytes(self.seen)!r}"
            return bytes(self.seen)

    def end(self, timeout=WAIT):
        """Wait until nobody has the other end; all that was written."""
        with self.news:
            assert self.news.wait_for(lambda: self.ended, patience(timeout)), f"still open: {bytes(self.seen)!r}"
            return bytes(self.seen)

    def type(self, data):
        os.write(self.master, data)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self):
        os.write(self.wake_write, b"x")
        self.reader.join(patience(WAIT))
        for descriptor in (self.master, self.wake_read, self.wake_write):
            os.close(descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
