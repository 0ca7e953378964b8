"""Certificates of a test run, made by the openssl command. P-256 throughout."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {done.stderr}"


@dataclass(frozen=True)
class Certificate:
    cert: Path
    key: Path


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.name = name
        self.cert, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        _openssl("req", "-x509", *_KEY, "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}", "-days", 30,
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _issue(self, file, common_name, usage, names):
        made = Certificate(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
        if names:
            extensions += ["-addext", "subjectAltName=" + ",".join(names)]
        _openssl("req", "-x509", *_KEY, "-CA", self.cert, "-CAkey", self.key, "-keyout", made.key, "-out", made.cert,
                 "-subj", f"/CN={common_name}", "-days", 20, *extensions)
        return made

    def server(self, file, names=("DNS:localhost", "IP:127.0.0.1")):
        return self._issue(file, "localhost", "serverAuth", names)

    def client(self, file, common_name, names=()):
        return self._issue(file, common_name, "clientAuth", names)

    def expired(self, file, common_name):
        made = Certificate(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        request = self.folder / f"{file}.csr"
        _openssl("req", "-new", *_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={common_name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", -1, "-out", made.cert)
        return made


class Certificates:
    """All that the tests of a session share."""

    def __init__(self, folder):
        folder = Path(folder)
        self.server_ca = Authority(folder / "server", "webhook-ca")
        self.server = self.server_ca.server("server")
        self.server_renewed = self.server_ca.server("server-renewed")
        self.server_ended = self.server_ca.expired("server-ended", "localhost")

        self.client_ca = Authority(folder / "client", "client-ca")
        self.client = self.client_ca.client("apiserver", "kube-apiserver")
        self.client_by_dns_name = self.client_ca.client("apiserver-dns", "some-name", ("DNS:kube-apiserver",))
        self.client_of_other_name = self.client_ca.client("intruder", "intruder")
        self.client_expired = self.client_ca.expired("expired", "kube-apiserver")
        self.other_client_ca = Authority(folder / "other-client", "other-client-ca")
        self.client_of_other_ca = self.other_client_ca.client("apiserver", "kube-apiserver")

        self.provider_ca = Authority(folder / "provider", "provider-ca")
        self.provider = self.provider_ca.server("provider")
        self.provider_of_other_host = self.provider_ca.server("elsewhere", ("DNS:elsewhere.example.com",))
        self.provider_client = self.provider_ca.client("introspector", "kube-introspect")
        self.other_provider_ca = Authority(folder / "other-provider", "other-provider-ca")
        self.provider_of_other_ca = self.other_provider_ca.server("provider")
