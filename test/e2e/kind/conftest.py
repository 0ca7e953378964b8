"""The cluster of hack/kind-up.sh: our image, deployed by our manifests, asked by an API server that kubeadm has set up."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo_provider import DemoProvider
from lib import sentinel, wait
from lib.certificates import Certificate

STATE = Path(os.environ.get("KIND_STATE", "/tmp/kube-introspect-kind"))
NAMESPACE = "kube-introspect"
SECONDS = 120
_measured = []


@pytest.fixture
def measured():
    """A function that notes a figure for the end of the run."""
    return _measured.append


def pytest_terminal_summary(terminalreporter):
    for line in _measured:
        terminalreporter.write_line(f"measured: {line}")


class KindProvider(DemoProvider):
    """The one that hack/kind-up.sh has started, at the address where pods reach it too."""

    def __init__(self):
        certs = STATE / "certs"
        ready = json.loads((STATE / "provider.json").read_text())
        self.port, self.url = ready["port"], ready["issuer"]
        self.host = self.url.removeprefix("https://").rsplit(":", 1)[0]
        self.certificates = SimpleNamespace(provider_ca=Certificate(certs / "provider-ca.crt", None),
                                            provider_client=Certificate(certs / "provider-client.crt", certs / "provider-client.key"))


class Kind:
    def __init__(self):
        self.provider = KindProvider()

    def run(self, *arguments, token=None, stdin=None):
        """kubectl, as the administrator by certificate or as the user of a token, to its end whatever that is."""
        command = ["kubectl", *arguments]
        if token:
            sentinel.remember(token)
            command += [f"--kubeconfig={self._nobody()}", f"--token={token}"]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS * wait.SLOWNESS)

    def must(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: exit status {done.returncode}: {done.stderr}"
        return done.stdout

    def get(self, *arguments):
        return json.loads(self.must("get", "--output=json", *arguments))

    def _nobody(self):
        """The administrator's kubeconfig without its certificate, which would win over a token."""
        path = STATE / "nobody.kubeconfig"
        if not path.exists():
            config = json.loads(self.must("config", "view", "--raw", "--output=json"))
            config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
            path.write_text(json.dumps(config))
        return path

    # ---- logins

    def is_in(self, token):
        """Whether the API server lets the token in, whatever it then may do. Anything but yes and 401 fails the test."""
        done = self.run("auth", "whoami", token=token)
        if done.returncode == 0:
            return True
        assert "Unauthorized" in done.stderr, done.stderr
        return False

    def whoami(self, token):
        return json.loads(self.must("auth", "whoami", "--output=json", token=token))["status"]["userInfo"]

    # ---- our Deployment

    def scale(self, n):
        self.must("--namespace", NAMESPACE, "scale", "deployment/kube-introspect", f"--replicas={n}")
        if n:
            self.rolled_out()
        else:
            self.must("--namespace", NAMESPACE, "wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=kube-introspect", "--timeout=60s")

    def apply(self, *objects):
        self.must("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def rolled_out(self):
        self.must("--namespace", NAMESPACE, "rollout", "status", "deployment/kube-introspect", "--timeout=90s")

    def records(self):
        """The audit records of all replicas that run."""
        lines = self.must("--namespace", NAMESPACE, "logs", "--selector=app.kubernetes.io/name=kube-introspect", "--tail=-1").splitlines()
        return [record for record in map(json.loads, filter(lambda line: line.startswith("{"), lines)) if "verdict" in record]


class NewLogins:
    """Somebody new logs in ten times a second: no cache answers for them."""

    def __init__(self, kind, n):
        self.kind, self.tokens = kind, [kind.provider.password() for _ in range(n)]
        self.n_in, self.refused, self.errors, self._is_over = 0, [], [], threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[self.tokens[i::2]]) for i in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, tokens):
        try:
            for token in tokens:
                if self._is_over.is_set():
                    return
                if self.kind.is_in(token):
                    self.n_in += 1
                else:
                    self.refused.append(token)
                time.sleep(0.2)
        except BaseException as error:  # it fails the test
            self.errors.append(repr(error))


@pytest.fixture(scope="session")
def kind():
    made = Kind()
    made.rolled_out()
    return made


@pytest.fixture
def new_logins(kind):
    return lambda n: NewLogins(kind, n)
