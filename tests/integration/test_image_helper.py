"""cloister-image and cloister-plan as the core starts them: documents in, records out, in their jail."""

import base64
import io
import json
import os
import re
import subprocess
import tarfile

import pytest

from lib import flat
from lib.leaks import HELPERS
from lib.runner import Cloister, poll, text
from lib.world import find_binary

A, B = "sha256:" + "a1" * 32, "sha256:" + "b2" * 32
OCI = "application/vnd.oci.image."


def descriptor(kind, digest, **more):
    return {"mediaType": OCI + kind, "digest": digest, "size": 7, **more}


def platform(architecture):
    return {"platform": {"os": "linux", "architecture": architecture}}


IMAGE = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": descriptor("config.v1+json", A),
         "layers": [descriptor("layer.v1.tar+gzip", B)]}
INDEX = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
         "manifests": [descriptor("manifest.v1+json", A, **platform("arm64")),
                       descriptor("manifest.v1+json", B, **platform("amd64"))]}
CONFIG = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [A]},
          "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "StopSignal": "SIGRTMIN+3", "Labels": {"a": "b"}}}


def program(world, name, identity):
    path = find_binary(world).with_name(name)
    assert path.exists(), f"{path} is not there: run make first"
    return Cloister(world, path, identity)


@pytest.fixture(params=["root", "user"])
def image(request, world):
    return program(world, "cloister-image", request.param)


@pytest.fixture(params=["root", "user"])
def plan(request, world):
    return program(world, "cloister-plan", request.param)


def answer(helper, magic, document, *words):
    data = document if isinstance(document, (bytes, str)) else json.dumps(document)
    outcome = helper.call(*words, input=data if isinstance(data, bytes) else data.encode()).ok()
    assert outcome.err == b"", str(outcome)
    return flat.fields(outcome.out, magic)


def complaint(helper, document, *words):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    outcome = helper.call(*words, input=data)
    assert outcome.exit == 1 and outcome.out == b"" and outcome.err.count(b"\n") == 1, str(outcome)
    return text(outcome.err).rstrip("\n")


def test_manifest(image):
    found = answer(image, b"clocim", IMAGE, "manifest", "m", "linux/amd64", IMAGE["mediaType"])
    assert flat.number(found[1]) == 1 and flat.text(found[2]) == IMAGE["mediaType"]
    assert flat.text(found[3]) == A and flat.number(found[4]) == 7 and flat.text(found[5]) == OCI + "config.v1+json"
    assert flat.items(found[6], "QI", 1) == [(7, 1, B)]
    found = answer(image, b"clocim", INDEX, "manifest", "m", "linux/amd64", "-")
    assert flat.number(found[1]) == 0 and flat.text(found[3]) == B and 6 not in found


def test_manifest_is_refused(image):
    both = {**IMAGE, "manifests": []}
    assert "m: both an image" in complaint(image, both, "manifest", "m", "linux/amd64")
    assert complaint(image, INDEX, "manifest", "m", "linux/s390x") == "m: the image has linux/arm64, linux/amd64, not linux/s390x"


def test_config(image):
    found = answer(image, b"clocic", CONFIG, "config", "c")
    assert flat.text(found[1]) == "amd64" and flat.texts(found[5]) == [A] and flat.texts(found[6]) == ["PATH=/bin"]
    assert flat.texts(found[8]) == ["sh"] and flat.number(found[11]) == 37 and flat.texts(found[12]) == ["a=b"]
    assert not {3, 4, 7, 9, 10} & set(found)


def test_config_is_refused(image):
    assert "os: the image is built for \"windows\"" in complaint(image, {**CONFIG, "os": "windows"}, "config", "c")


FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def make_archive(path, form, names):
    with tarfile.open(path, "w", format=form) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("link/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../" + names[0]
        tar.addfile(link)
    path.chmod(0o644)


@pytest.mark.parametrize("form", FORMATS)
def test_archive(image, world, form):
    path = world.directory("archive") / "a.tar"
    long = "/".join(["directory"] * 9 + ["l" * 60])
    names = ["z/layer.tar", "manifest.json", long, "many/" * (20 if form == "ustar" else 200) + "x"]
    make_archive(path, FORMATS[form], names)
    with path.open("rb") as file:
        outcome = image.call("archive", "a.tar", stdin=file).ok()
    members = flat.items(flat.fields(outcome.out, b"clocia")[1], "QQ", 1)
    assert [name for *_, name in members] == sorted([*names, "link/layer.tar"])
    content = path.read_bytes()
    for offset, size, name in members:
        assert content[offset:offset + size].decode() == ("z/layer.tar" if name.startswith("link/") else name)


def test_archive_of_many_members(image, world):
    """More than fit a page; where sorting them must not ask for anything that the jail forbids."""
    path = world.directory("archive") / "a.tar"
    make_archive(path, tarfile.GNU_FORMAT, [f"{i * 7919 % 5000}" for i in range(5000)])
    with path.open("rb") as file:
        outcome = image.call("archive", "a.tar", stdin=file).ok()
    names = [name for *_, name in flat.items(flat.fields(outcome.out, b"clocia")[1], "QQ", 1)]
    assert names == sorted(names) and len(names) == 5001


def test_archive_whose_content_nobody_could_read_in_time(image, world):
    """Headers alone are read: the jail's CPU time ends long before a terabyte."""
    path, size = world.directory("archive") / "a.tar", 1 << 40
    member = tarfile.TarInfo("large")
    member.size = size
    with path.open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.seek(512 + size)
        file.write(tarfile.TarInfo("after").tobuf() + bytes(1024))
    path.chmod(0o644)
    with path.open("rb") as file:
        outcome = image.call("archive", "a.tar", stdin=file).ok()
    assert flat.items(flat.fields(outcome.out, b"clocia")[1], "QQ", 1) == [(size + 1024, 0, "after"), (512, size, "large")]


def test_archive_of_sparse_files_is_refused(image, world):
    directory = world.directory("archive")
    for form in ("gnu", "pax"):
        subprocess.run(["sh", "-c", f"truncate -s 1M hole && echo end >> hole && tar --format={form} -Scf {form}.tar hole"], cwd=directory, check=True)
        with (directory / f"{form}.tar").open("rb") as file:
            outcome = image.call("archive", "a.tar", stdin=file)
        assert outcome.exit == 1 and text(outcome.err) == 'a.tar: member "hole": a sparse file; make the archive without (tar without -S)\n'


def test_archive_is_refused(image, world):
    directory = world.directory("archive")
    subprocess.run(["sh", "-c", "echo x | gzip -c > a.tar.gz"], cwd=directory, check=True)
    # larger than a block, as real ones are
    (directory / "a.tar.gz").write_bytes((directory / "a.tar.gz").read_bytes() + bytes(512))
    with (directory / "a.tar.gz").open("rb") as file:
        outcome = image.call("archive", "a.tar.gz", stdin=file)
    assert outcome.exit == 1 and text(outcome.err) == "a.tar.gz: the archive is compressed by gzip; uncompress it first (gzip -d)\n"
    assert complaint(image, b"x", "archive", "a") == "a: the archive must be a file, not a pipe"


def test_saved(image):
    saved = [{"Config": "a.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar"]}, {"Config": "b.json", "RepoTags": ["b:2"], "Layers": []}]
    found = answer(image, b"clocis", saved, "saved", "s", "a:1")
    assert flat.text(found[1]) == "a.json" and flat.texts(found[2]) == ["1/layer.tar"] and flat.texts(found[3]) == ["a:1"]
    assert complaint(image, saved, "saved", "s") == "s: 2 images; name one of them: there are a:1, b:2"


def test_oci_index(image):
    name = "org.opencontainers.image.ref.name"
    layout = {"schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", A, annotations={name: "1"}),
                                                descriptor("manifest.v1+json", B, annotations={name: "2"})]}
    found = answer(image, b"clocim", layout, "oci-index", "i", "linux/amd64", "2")
    assert flat.text(found[3]) == B
    assert complaint(image, layout, "oci-index", "i", "linux/amd64") == "i: several images; name one of 1, 2"


def test_auth(image):
    secret = base64.b64encode(b"me:pass:word").decode()
    document = {"auths": {"https://index.docker.io/v1/": {"auth": secret}}, "credHelpers": {"gcr.io": "gcloud"}}
    found = answer(image, b"clocik", document, "auth", "f", "docker.io/library/debian")
    assert flat.number(found[1]) == 1 and flat.text(found[2]) == "me" and flat.text(found[3]) == "pass:word"
    found = answer(image, b"clocik", document, "auth", "f", "gcr.io")
    assert flat.number(found[1]) == 3 and flat.text(found[4]) == "gcloud"
    assert flat.number(answer(image, b"clocik", b"", "auth", "f", "gcr.io")[1]) == 0
    said = complaint(image, {"auths": {"r": {"auth": "hunter!"}}}, "auth", "f", "r")
    assert said == "f: auths.r: auth: not base64"


def test_credential(image):
    found = answer(image, b"clocik", {"Username": "<token>", "Secret": "s"}, "credential", "h")
    assert flat.number(found[1]) == 2 and flat.text(found[3]) == "s"
    assert complaint(image, {"Username": "u"}, "credential", "h") == "h: Secret is missing"


def test_registries(plan):
    document = "store: {budget: 1GiB}\nregistries:\n  docker.io: {mirrors: ['https://m.example']}\n"
    found = answer(plan, b"clocir", document, "registries", "r.yaml")
    assert flat.items(found[2], "I", 3) == [(0, "docker.io", "", "https://m.example\n")]
    assert flat.number(found[3]) == 1 << 30 and 1 not in found
    said = complaint(plan, b"registries:\n  docker.io: {mirors: []}\n", "registries", "r.yaml")
    assert said == "r.yaml:2:15: registries.docker.io.mirors: unknown key (did you mean mirrors?)"


@pytest.mark.parametrize("words", [[], ["nothing"], ["config"], ["config", "a", "b"], ["manifest", "a"], ["config", ""]])
def test_arguments_are_looked_at(image, words):
    outcome = image.call(*words)
    assert outcome.exit == 1 and outcome.out == b"" and outcome.err.count(b"\n") == 1, str(outcome)


def test_large_documents_are_refused_in_bounded_time(image):
    assert complaint(image, b"[" * (4 << 20), "config", "c") == "c: nests deeper than 64 levels"
    assert complaint(image, b"[" + b"{}," * (1 << 20), "config", "c") == "c: holds more than 262144 values"
    assert "c is larger than 4194304 bytes" in complaint(image, b" " * ((4 << 20) + 1), "config", "c")


@pytest.mark.parametrize("words", [["config", "c"], ["auth", "f", "docker.io"]])
def test_what_reads_is_in_its_jail(image, words):
    """It waits for the rest of its document, with nothing that it could use."""
    read, write = os.pipe()
    process = subprocess.Popen(image.argv(*words), stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=False)
    try:
        os.close(read)
        os.write(write, b"{")

        def status():
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                return dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.MULTILINE))

        # the filter of calls is the last layer
        poll(lambda: status().get("Seccomp") == "2", 10, lambda: f"never in its jail: {status()}")
        found = status()
        assert found["NoNewPrivs"] == "1" and int(found["CapEff"], 16) == 0 and int(found["CapPrm"], 16) == 0, found
        (uid,) = set(found["Uid"].split())
        assert int(uid) in HELPERS if image.identity == "root" else int(uid) == image.uid, found
        for space in ("net", "mnt", "ipc", "uts", "user"):
            assert os.readlink(f"/proc/{process.pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}"), space
        assert os.listdir(f"/proc/{process.pid}/root") == []
        assert sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"]
    finally:
        os.close(write)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and out == b"" and err.count(b"\n") == 1, (process.returncode, out, err)
