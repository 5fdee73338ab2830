"""Images under the names that critest asks for, made of a static busybox.

    push_all(registry, program)     # program: the compiled tests/lib/effective_uid.c
"""

import platform
from pathlib import Path

from lib import tars
from lib.images import make_image, make_layer, push
from lib.samples import BUSYBOX
from lib.wasm_guest import compile_guest
from lib.world import command

BOX = "tests/box:1"  # the one of our own tests
WASM = "tests/wasm:1"  # tests/wasm/guest.c
E2E, STAGING = "e2e-test-images", "k8s-staging-cri-tools"
ACCOUNTS = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\ndefault-user:x:1000:1000::/home:/bin/sh\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n"
WAITS = ["tail", "-f", "/dev/null"]  # critest looks for left processes that are called sleep
# What Debian's busybox has not, as far as critest asks.
IPCS = "#!/bin/sh\ncat /proc/sysvipc/shm\n"
PGREP = """#!/bin/sh
for each in /proc/[0-9]*; do
    read -r name 2>/dev/null < $each/comm && [ "$name" = "$1" ] && echo ${each#/proc/} && found=1
done
[ -n "$found" ]
"""
# A server's first process has "master process" in its title, and its name in `comm`.
SERVER = """#!/bin/sh
mkdir -p /run
echo $$ > /run/{name}.pid
echo {name} serves $PORT
trap 'exit 0' TERM
trap 'exit 0' QUIT
httpd -f -p $PORT -h /srv &
wait
"""


def _base():
    """Directories, accounts and the applets, hard-linked.

    The shell has one applet less: it would run `ls` itself, and a path that is masked would not be missed.
    """
    data = Path(BUSYBOX).read_bytes()
    assert data.count(b"\0ls\0") == 1, f"{BUSYBOX} has its table of applets no more as it was"
    shell = data.replace(b"\0ls\0", b"\0lr\0")  # which keeps the table in order
    applets = [name for name in command(BUSYBOX, "--list").split() if name not in ("busybox", "sh", "ipcs", "pgrep")]
    places = ["bin", "dev", "etc", "home", "proc", "root", "srv", "sys", "tmp", "usr", "var"]
    return [*(tars.directory(name, 0o1777 if name == "tmp" else 0o755) for name in places),
            tars.file("etc/passwd", ACCOUNTS), tars.file("etc/group", GROUPS), tars.symlink("var/run", "/run"),
            tars.file("srv/index.html", "a page\n"), tars.file("bin/ipcs", IPCS, 0o755), tars.file("bin/pgrep", PGREP, 0o755),
            tars.file("bin/busybox", data, 0o755), tars.file("bin/sh", shell, 0o755),
            *(tars.hardlink(f"bin/{name}", "bin/busybox", 0o755) for name in applets)]


def _config(**more):
    return {"Env": ["PATH=/bin"], "Cmd": WAITS, **more}


def _server(base, name, port):
    """nginx, as far as critest looks."""
    layer = make_layer([tars.file(f"bin/{name}", SERVER.format(name=name), 0o755)])
    return make_image([base, layer], _config(Cmd=[f"/bin/{name}", "master process"], Env=["PATH=/bin", f"PORT={port}"], StopSignal="SIGTERM"))


def images(program):
    """{name: image}."""
    base = make_layer(_base())
    box = make_image([base], _config(Cmd=["sh"]))
    guest = compile_guest(Path(program).parent).read_bytes()
    wasm = make_image([make_layer([tars.file("app.wasm", guest, 0o755)])], {"Entrypoint": ["/app.wasm"], "Cmd": ["args"]})
    found = {BOX: box, WASM: wasm, f"{E2E}/busybox:1.29-2": box}
    found[f"{E2E}/nginx:1.14-2"] = _server(base, "nginx", 80)
    found[f"{E2E}/httpd:2.4.39-4"] = _server(base, "httpd", 80)
    found[f"{STAGING}/hostnet-nginx-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}:latest"] = _server(base, "nginx", 12003)
    setuid = make_layer([tars.file("bin/effective-uid", Path(program).read_bytes(), 0o4755)])
    found[f"{E2E}/nonewprivs:1.3"] = make_image([base, setuid], _config(Cmd=["/bin/effective-uid"]))
    for version in ("3.9", "3.10.1", "3.10.2"):  # the last is the pods' own: each is an image of its own
        found[f"pause:{version}"] = make_image([base], _config(Labels={"version": version}))
    for number in "123":
        found[f"{STAGING}/test-image-{number}:latest"] = make_image([base], _config(Labels={"number": number}))
    tagged = make_image([base], _config(Labels={"kind": "tags"}))
    found.update((f"{STAGING}/test-image-tags:{tag}", tagged) for tag in "123")
    for tag in ("test", "all"):
        found[f"{STAGING}/test-image-tag:{tag}"] = make_image([base], _config(Labels={"tag": tag}))
    found[f"{STAGING}/test-image-latest:latest"] = make_image([base], _config(Labels={"tag": "latest"}))
    users = {"user-uid": "1002", "user-username": "www-data", "user-uid-group": "1003:1004", "user-username-group": "www-data:1004", "predefined-group": "1000"}
    for name, user in users.items():
        found[f"{STAGING}/test-image-{name}:latest"] = make_image([base], _config(User=user))
    return found


def push_all(registry, program):
    for name, image in images(program).items():
        repository, _, tag = name.rpartition(":")
        push(image, registry, repository, tag)
