"""A real image: Debian with python3, a compiler and git, in four layers of some 200 MB together.

    image = real_image()                      # four layers of gzip, an OCI directory
    image = real_image("ten")                 # the same tree in ten, in one ("one"), or by zstd ("zstd")
    image = real_image("toolchains")          # those four and one of npm, Go and Cargo above: 1.2 GB more on a disk
    image.oci, image.image                    # the directory, and what lib/images.py pushes

Made once, by mmdebstrap and apt-get in a chroot, from the packages of this machine's own sources,
and kept below build/images until the recipe changes. Everything else is made from those four
layers; that with toolchains has packages of its own, and takes a minute and a half. Needs root, and overlayfs below build/.
"""

import functools
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lib import layouts, samples, tars
from lib.images import Blob, Image, Layer, make_image
from lib.world import command

TAG = "latest"
MINUTES = 60
SUITE = "bookworm"
PACKAGES = ("python3 python3-dev python3-pip", "gcc g++ libc6-dev make", "git ca-certificates")  # of each layer above the first
TOOLCHAINS = "nodejs npm golang-go cargo-web rustc-web"  # Debian's newer Cargo, which knows what registries speak today
CONFIG = {"Cmd": ["/bin/bash"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
# $1: where to work; then the packages of each layer. Mounts end with the namespace that this runs in.
SCRIPT = """set -eu
cd "$1"
shift
mkdir merged
lower=base number=0
for packages; do
    number=$((number + 1))
    mkdir "upper$number" "work$number"
    mount -t overlay -o "lowerdir=$lower,upperdir=upper$number,workdir=work$number,redirect_dir=off,metacopy=off,index=off" overlay merged
    mount --bind /etc/resolv.conf merged/etc/resolv.conf
    chroot merged env DEBIAN_FRONTEND=noninteractive sh -euc '
        apt-get -q -o APT::Sandbox::User=root update
        apt-get -q -y -o APT::Sandbox::User=root install --no-install-recommends "$@"
        apt-get clean
        rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log' sh $packages
    umount merged/etc/resolv.conf merged
    lower=upper$number:$lower
done
"""
SPLIT = (4, 2, 2, 2)  # the four layers as ten
VARIANTS = ("four", "ten", "one", "zstd", "toolchains")
RECIPE = "1\n" + SUITE + "\n" + "\n".join(PACKAGES) + "\n" + SCRIPT


@dataclass
class RealImage:
    oci: Path      # an OCI directory, whose tag is "latest"
    image: Image

    def unpack(self, directory):
        """The tree, by GNU tar: layer after layer, each after its whiteouts."""
        for layer in self.image.layers:
            apply_layer(layer, directory)


def real_image(variant="four"):
    """The image, made when it isn't there yet: a minute for the first, some seconds for its variants."""
    assert variant in VARIANTS, variant
    if os.geteuid() != 0:
        raise RuntimeError("the real image is made in a chroot: that needs root")
    makers = {"four": _make_four, "toolchains": _make_toolchains}
    make = makers.get(variant) or functools.partial(_make_variant, variant)
    recipe = RECIPE + variant + (TOOLCHAINS if variant == "toolchains" else "")
    return load(samples.cached(f"real-{variant}", recipe, make))


def load(oci):
    """The image of an OCI directory that this file or any other program wrote."""
    def blob(digest):
        return oci / "blobs" / digest.replace(":", "/")

    listed = json.loads((oci / "index.json").read_text())["manifests"][0]
    data = blob(listed["digest"]).read_bytes()
    manifest = json.loads(data)
    config = blob(manifest["config"]["digest"]).read_bytes()
    layers = [Layer(Blob(blob(one["digest"])), diff_id, "zstd" if one["mediaType"].endswith("zstd") else "gzip")
              for one, diff_id in zip(manifest["layers"], json.loads(config)["rootfs"]["diff_ids"], strict=True)]
    for layer, one in zip(layers, manifest["layers"]):
        layer.blob.digest = one["digest"]  # known: no need to read it all
    return RealImage(oci, Image(data, listed["mediaType"], [Blob(config), *(layer.blob for layer in layers)], layers=layers, config=config))


def _make_four(place):
    with tempfile.TemporaryDirectory(prefix=".real-", dir=samples.CACHE) as work:  # 0700: setuid programs are nobody else's
        work = Path(work)
        _debootstrap(work / "base")
        command("unshare", "-m", "sh", "-c", SCRIPT, "layers", work, *PACKAGES, timeout=30 * MINUTES)
        tops = [work / "base", *(work / f"upper{number + 1}" for number, _ in enumerate(PACKAGES))]
        _write(place, [tars.chunks(tars.from_directory(top, upper=number > 0)) for number, top in enumerate(tops)])


def _make_toolchains(place):
    """One layer more, above the tree of the four."""
    four = real_image()
    with tempfile.TemporaryDirectory(prefix=".real-", dir=samples.CACHE) as work:
        work = Path(work)
        (work / "base").mkdir()
        four.unpack(work / "base")
        command("unshare", "-m", "sh", "-c", SCRIPT, "layers", work, TOOLCHAINS, timeout=30 * MINUTES)
        blobs = _directory(place)
        for layer in four.image.layers:
            os.link(layer.blob.source, blobs / layer.blob.digest.partition(":")[2])
        top = tars.chunks(tars.from_directory(work / "upper1", upper=True))
        _finish(place, [*four.image.layers, _store(blobs, len(four.image.layers), top, "zstd")])


def _debootstrap(base):
    """The first layer. Where Debian's own mirror is out of reach, from the hosts that this machine's apt uses."""
    words = ["unshare", "-m", "mmdebstrap", "--mode=root", "--variant=minbase", SUITE, base]
    sources = [path for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.*")))
               if path.suffix in (".list", ".sources") and path.exists() and SUITE in path.read_text()]
    try:
        command(*words, timeout=30 * MINUTES)
    except RuntimeError as plain:
        samples.remove(base)
        try:
            command(*words, *sources, timeout=30 * MINUTES)
        except RuntimeError as own:
            raise RuntimeError(f"mmdebstrap failed: {plain}\nand with this machine's sources: {own}") from None
    samples.remove(base / "dev")  # engines make their own
    (base / "dev").mkdir()
    for name in ("resolv.conf", "hostname"):
        (base / "etc" / name).unlink(missing_ok=True)
        (base / "etc" / name).touch()


def _write(place, archives, compression="gzip"):
    """An OCI directory of archives, each given in pieces: two layers at a time."""
    blobs = _directory(place)
    with ThreadPoolExecutor(2) as pool:  # zlib and hashlib let go of the interpreter
        _finish(place, list(pool.map(lambda job: _store(blobs, *job, compression), enumerate(archives))))


def _directory(place):
    blobs = place / "blobs/sha256"
    blobs.mkdir(parents=True)
    return blobs


def _finish(place, layers):
    """What makes an OCI directory of blobs: manifest, configuration, index."""
    blobs, image = place / "blobs/sha256", make_image(layers, CONFIG)
    for data in (image.manifest, image.config):
        (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
    (place / "oci-layout").write_bytes(layouts.LAYOUT)
    (place / "index.json").write_bytes(layouts.index_json({TAG: image}))


def _store(blobs, number, archive, compression):
    """Compress one layer into the blobs."""
    half, plain = blobs / f"half-{number}", hashlib.sha256()

    def hashed():
        for data in archive:
            plain.update(data)
            yield data

    with open(half, "wb") as out:
        if compression == "gzip":
            stream = zlib.compressobj(6, wbits=31)
            for data in hashed():
                out.write(stream.compress(data))
            out.write(stream.flush())
        else:
            with subprocess.Popen(["zstd", "-q", "-c", "-3"], stdin=subprocess.PIPE, stdout=out) as program:
                program.stdin.writelines(hashed())
            assert program.returncode == 0, f"zstd: {program.returncode}"
    blob = Blob(half)
    made = Layer(blob, "sha256:" + plain.hexdigest(), compression)
    name = blobs / blob.digest.partition(":")[2]
    os.rename(half, name)
    blob.source = name
    return made


def _make_variant(variant, place):
    write_variant(variant, real_image().image.layers, place)


def write_variant(variant, layers, place):
    """An OCI directory with the tree of these layers in another form."""
    if variant == "zstd":
        _write(place, [_plain_later(layer) for layer in layers], "zstd")
    elif variant == "ten":
        _write(place, [part for layer, number in zip(layers, SPLIT) for part in split(layouts.plain(layer), number)])
    else:
        with tempfile.TemporaryDirectory(prefix=".real-", dir=place.parent) as work:
            tree = Path(work) / "tree"
            tree.mkdir()
            for layer in layers:
                apply_layer(layer, tree)
            _write(place, [tars.chunks(tars.from_directory(tree))])


def _plain_later(layer):
    yield layouts.plain(layer)  # not before it is its turn


def split(archive, number):
    """An archive as so many of about one size, which make the same tree one above the other.

    Each has the directories that its entries are in. A hard link goes where its file is.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        members = opened.getmembers()
    ends = [member.offset for member in members[1:]] + [len(archive)]
    directories, where = {}, {}
    parts, sizes = [{} for _ in range(number)], 0
    for member, end in zip(members, ends):
        data = archive[member.offset:end]
        if member is members[-1]:
            data = data[:member.offset_data - member.offset + -(-member.size // tars.BLOCK) * tars.BLOCK]
        index = where[member.linkname] if member.islnk() else min(sizes * number // len(archive), number - 1)
        sizes += len(data)
        where[member.name] = index
        if member.isdir():
            directories[member.name] = data
        names = member.name.split("/")
        for depth in range(1, len(names)):
            above = "/".join(names[:depth])
            if above in directories:
                parts[index].setdefault(above, directories[above])
        parts[index][member.name] = data
    return [[b"".join(part.values()), tars.END] for part in parts]


def apply_layer(layer, directory):
    """Unpack a layer over what is there: whiteouts first, then GNU tar."""
    archive = layouts.plain(layer)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        marks = [Path(directory, name) for name in opened.getnames() if os.path.basename(name).startswith(".wh.")]
    for mark in marks:
        gone = list(mark.parent.iterdir()) if mark.name == ".wh..wh..opq" and mark.parent.exists() else [mark.with_name(mark.name[4:])]
        for path in gone:
            if path.is_symlink() or path.exists():
                samples.remove(path) if not path.is_symlink() else path.unlink()
    words = ["tar", "-x", "-p", "--numeric-owner", "--delay-directory-restore", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*"]
    done = subprocess.run([*words, "-C", str(directory), "-f", "-"], input=archive, capture_output=True, timeout=10 * MINUTES)
    if done.returncode != 0:
        raise RuntimeError(f"tar: {done.stderr.decode(errors='replace')[-500:]}")


if __name__ == "__main__":  # before the tests, whose time doesn't pay for it then
    for each in VARIANTS:
        real_image(each)
