"""A real provider (hack/provider) and the real binary. The drivers are those of test/integration/lib."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from demo_provider import BASIC, DemoProvider  # noqa: E402
from lib import paths, wait  # noqa: E402
from lib.certificates import Certificate  # noqa: E402
from lib.webhook import Webhook  # noqa: E402
from login import API_SERVER, Login, issuer_for  # noqa: E402

_numbers = itertools.count(1)
_failed = []


class Certificates:
    """What certs/make.sh makes, under the names that the webhook's driver uses."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([paths.ROOT / "certs" / "make.sh", folder], check=True, timeout=60)
        self.server_ca, self.server = self._of("webhook-ca"), self._of("webhook")
        self.client_ca, self.client = self._of("client-ca"), self._of("kube-apiserver")
        self.provider_ca, self.provider_client = self._of("provider-ca"), self._of("provider-client")

    def _of(self, name):
        return Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")


def pytest_runtest_logreport(report):
    if report.failed:
        _failed.append(report.nodeid)


def pytest_collection_modifyitems(items):
    """Those of the cluster come first, since some begin there what takes minutes and see its end when all else is done. The
    search for secrets comes last, when all others have written what they write."""
    items.sort(key=lambda item: (item.path.name == "test_nothing_secret.py", item.get_closest_marker("long") is not None,
                                 item.path.parent.name != "cluster"))


@pytest.fixture(scope="session")
def folder():
    """Where this session writes. Kept when something failed, or when KUBE_INTROSPECT_KEEP is set."""
    made = Path(tempfile.mkdtemp(prefix="kube-introspect-e2e-"))
    yield made
    if not _failed and not os.environ.get("KUBE_INTROSPECT_KEEP"):
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def certificates(folder):
    return Certificates(folder / "certificates")


@pytest.fixture(scope="session")
def provider(folder, certificates):
    """The one that all tests share that do not stop theirs."""
    made = DemoProvider(folder / "provider", certificates)
    yield made
    made.stop()


@pytest.fixture
def own_provider(folder, certificates):
    """A function that makes a provider for one test."""
    made = []

    def make(**more):
        made.append(DemoProvider(folder / f"{next(_numbers):03d}-provider", certificates, **more))
        return made[-1]

    yield make
    for each in made:
        each.thaw()
        each.stop()


@pytest.fixture
def start(folder, certificates, request):
    """A function that starts a webhook for a provider. At the end each must still run, and stop with exit status 0."""
    started = []

    def make(provider, issuer=None, client=BASIC, secrets=None, ready=True):
        def prepare(its_folder):
            lines = secrets or [client.secret or "none"]
            its_folder.write("secrets/client-secret", "".join(line + "\n" for line in lines))

        name = request.node.name.removeprefix("test_").translate(str.maketrans("/[]: ", "-----"))[:48]
        webhook = Webhook(folder / f"{next(_numbers):03d}-{name}", certificates, [issuer_for(provider, issuer, client)],
                          {"apiAudiences": [API_SERVER]}, prepare)
        started.append(webhook)
        if ready:
            webhook.wait_ready()
            wait.until(lambda: "endpoint known" in webhook.operations("/readyz?verbose")[2], "the provider was discovered")
        return Login(webhook)

    yield make
    try:
        for webhook in started:
            webhook.stop()
    finally:
        for webhook in started:
            webhook.kill()
