"""Certificates for servers on the loopback interface, from an authority that only tests know."""

import ssl
from pathlib import Path

from lib.world import command

NAMES = ("IP:127.0.0.1", "DNS:localhost")
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
PAST = ("20200101000000Z", "20200201000000Z")  # -startdate and -enddate of one that has expired

CA_CONF = """[ca]
default_ca = tests
[tests]
database = {directory}/index.txt
rand_serial = yes
new_certs_dir = {directory}
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
    """A CA in a directory; its certificate is `ca`, a file."""

    def __init__(self, directory, name="cloister tests"):
        self.directory = Path(directory)
        self.ca, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        command("openssl", "req", "-x509", *CURVE, "-keyout", self.key, "-out", self.ca, "-days", 30, "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.key.chmod(0o600)

    def issue(self, name, names=NAMES, dates=()):
        """(certificate, key), two files, of a server; dates: when it is valid from and until, as in PAST."""
        cert, key, request, extensions = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        command("openssl", "req", "-new", *CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\n")
        (self.directory / "index.txt").write_text("")
        (self.directory / "ca.conf").write_text(CA_CONF.format(directory=self.directory))
        validity = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", 30]
        command("openssl", "ca", "-batch", "-notext", "-config", self.directory / "ca.conf", "-cert", self.ca, "-keyfile", self.key,
                "-in", request, "-out", cert, "-extfile", extensions, *validity)
        key.chmod(0o600)
        return cert, key

    def server_context(self, name="server", **options):
        """For lib/web.py's servers."""
        cert, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        if not cert.exists():
            self.issue(name, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context
