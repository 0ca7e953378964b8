"""A real kube-apiserver and its etcd on loopback, configured by the very files of manifests/apiserver."""

import http.client
import subprocess

import yaml

from lib import connection, paths, ports, wait
from lib.certificates import Authority
from processes import Process

MANIFESTS = paths.ROOT / "manifests" / "apiserver"
START_SECONDS = 60
# Its memory of what webhooks said, and for how many seconds that is by default.
CACHE, DEFAULT_CACHE_SECONDS = "authentication-token-webhook-cache-ttl", 120
# What manifests/apiserver/README.md says may be replaced, and nothing else is.
FOLDER, LOGS, ADDRESS = "/etc/kubernetes/introspect", "/var/log/kubernetes", "https://127.0.0.1:8443"

ADMISSION_HOST = "127.0.0.1:8444"


class Etcd:
    """One for all API servers of a session; each has a prefix of its own."""

    def __init__(self, folder, programs):
        folder.mkdir(parents=True)
        self.port, peers = ports.free(), ports.free()
        self.url, peers_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        self.process = Process(folder / "etcd.log", [
            programs / "etcd", "--name=e2e", f"--data-dir={folder / 'data'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peers_url}",
            f"--initial-advertise-peer-urls={peers_url}", f"--initial-cluster=e2e={peers_url}"])
        wait.until(self._is_healthy, lambda: f"etcd is healthy; {self.process.tail()}", START_SECONDS)

    def _is_healthy(self):
        assert self.process.is_running(), f"etcd has ended; {self.process.tail()}"
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("GET", "/health")
            return client.getresponse().status == 200
        except OSError:
            return False
        finally:
            client.close()

    def stop(self):
        self.process.kill()


class ClusterCertificates:
    """What an API server needs besides the certificates of the webhook."""

    def __init__(self, folder):
        self.ca = Authority(folder / "cluster", "cluster-ca")
        self.server = self.ca.server("server", ("DNS:localhost", "IP:127.0.0.1", "IP:10.0.0.1", "DNS:kubernetes.default.svc"))
        self.admin = self.ca.client("admin", "e2e-admin/O=system:masters")
        self.user = self.ca.client("user", "certificate-user/O=certificate-users")
        self.service_account_key = folder / "service-account.key"
        subprocess.run(["openssl", "genrsa", "-out", self.service_account_key, "2048"], check=True, capture_output=True)


class ControlPlane:
    """A running kube-apiserver."""

    def __init__(self, folder, programs, etcd, certificates, cluster_certificates, webhook_address, flags=None, authorizes=False,
                 admission_host=None):
        """flags       laid over those of manifests/apiserver/kubeadm.yaml; None takes one away
        authorizes  it asks about requests too, as manifests/apiserver/kubeadm-authorization.yaml has it
        admission_host  host and port that it may show its certificate to when it asks about changes"""
        self.folder, self.programs, self.certificates = folder, programs, cluster_certificates
        folder.mkdir(parents=True)
        self.introspect, self.logs = folder / "introspect", folder / "logs"
        self.introspect.mkdir()
        self.logs.mkdir()
        self.port = ports.free()
        self.url = f"https://localhost:{self.port}"
        self._install(certificates, webhook_address)
        self._install_admission(admission_host)
        more = {"authorization-mode": None, **self._extra_args("kubeadm-authorization.yaml")} if authorizes else {}
        if admission_host:
            more.update(self._extra_args("kubeadm-admission.yaml"))
        all_flags = {**self._flags(etcd), **more, **(flags or {})}
        self.process = Process(folder / "kube-apiserver.log", [
            programs / "kube-apiserver", *(f"--{name}={value}" for name, value in all_flags.items() if value is not None)])
        try:
            wait.until(self._is_ready, lambda: f"kube-apiserver is ready; {self.process.tail()}", START_SECONDS)
        except BaseException:
            self.process.kill()
            raise

    # ---- the files of manifests/apiserver

    def _install(self, certificates, webhook_address):
        for name in ("webhook.kubeconfig", "audit-policy.yaml", "authorization.kubeconfig", "authorization.yaml"):
            (self.introspect / name).write_text(self._adapted(MANIFESTS / name, webhook_address))
        self.install_client(certificates.client)
        (self.introspect / "webhook-ca.crt").write_bytes(certificates.server_ca.cert.read_bytes())

    def _install_admission(self, host):
        for name in ("admission.yaml", "admission.kubeconfig") if host else ():
            (self.introspect / name).write_text(self._adapted(MANIFESTS / name).replace(ADMISSION_HOST, host))

    def install_client(self, certificate):
        """The certificate that the API server shows to the webhook: the key first, so that a pair that is read half way does
        not fit together and is not used."""
        (self.introspect / "kube-apiserver.key").write_bytes(certificate.key.read_bytes())
        (self.introspect / "kube-apiserver.crt").write_bytes(certificate.cert.read_bytes())

    def _adapted(self, path, webhook_address=None):
        text = path.read_text().replace(FOLDER, str(self.introspect)).replace(LOGS, str(self.logs))
        return text.replace(ADDRESS, webhook_address) if webhook_address else text

    def _extra_args(self, name):
        configuration = yaml.safe_load(self._adapted(MANIFESTS / name))
        return {flag["name"]: flag["value"] for flag in configuration["apiServer"]["extraArgs"]}

    def _flags(self, etcd):
        keys = self.certificates.service_account_key
        return {
            "etcd-servers": etcd.url, "etcd-prefix": f"/{self.folder.parent.name}",
            "bind-address": "127.0.0.1", "advertise-address": "127.0.0.1", "secure-port": self.port,
            "tls-cert-file": self.certificates.server.cert, "tls-private-key-file": self.certificates.server.key,
            "client-ca-file": self.certificates.ca.cert, "authorization-mode": "Node,RBAC",
            "service-account-issuer": "https://kubernetes.default.svc", "service-account-signing-key-file": keys,
            "service-account-key-file": keys, "service-cluster-ip-range": "10.0.0.0/24", "endpoint-reconciler-type": "none",
            **self._extra_args("kubeadm.yaml"),
        }

    def _is_ready(self):
        assert self.process.is_running(), f"kube-apiserver has ended; {self.process.tail()}"
        try:
            return self.client(certificate=self.certificates.admin).get("/readyz").status == 200
        except OSError:
            return False

    # ---- its callers

    def client(self, token=None, certificate=None):
        return Client(self, token, certificate)

    def audit_log(self):
        return self.logs / "audit.jsonl"

    def stop(self):
        self.process.kill()


class Client:
    """Speaks HTTP with an API server over one connection, which is opened again when it was closed."""

    def __init__(self, control_plane, token=None, certificate=None):
        tls = connection.context(control_plane.certificates.ca, certificate)
        self.http = http.client.HTTPSConnection("localhost", control_plane.port, context=tls, timeout=40 * wait.SLOWNESS)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def open(self, path):
        """A response whose body is still to be read."""
        self.http.request("GET", path, headers=self.headers)
        return self.http.getresponse()

    def get(self, path, headers=None):
        """A response whose body is read."""
        return self.request("GET", path, headers=headers)

    def request(self, method, path, body=None, headers=None):
        """The same for any method."""
        try:
            self.http.request(method, path, body, headers={**self.headers, **(headers or {})})
            response = self.http.getresponse()
            response.body = response.read()
            return response
        except (http.client.HTTPException, OSError):
            self.http.close()
            raise

    def close(self):
        self.http.close()
