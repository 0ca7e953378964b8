"""What tests share: certificates once a session, a provider and a webhook for each test that wants its own, and the search for
the sentinel over everything that was written, at the very end."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib import configuration, paths, sentinel
from lib.certificates import Certificates
from lib.provider import Provider
from lib.webhook import Webhook

_numbers = itertools.count(1)


class Run:
    """The folder of this session. Kept when something failed, or when KUBE_INTROSPECT_KEEP is set."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="kube-introspect-test-"))
        self.certificates = Certificates(self.path / "certificates")
        self.ending = []

    def folder(self, name):
        return self.path / f"{next(_numbers):03d}-{name}"[:60]

    def end(self, webhooks):
        """Each must stop when asked to. Those whose disk takes nothing try for five seconds: nobody waits for them here."""
        try:
            for webhook in webhooks:
                if not webhook.stop_soon():
                    self.ending.append(webhook)
        finally:
            for webhook in webhooks:
                if webhook not in self.ending:
                    webhook.kill()

    def wait_for_the_slow(self):
        while self.ending:
            self.ending.pop().wait_stopped()

    def search(self):
        """Looks for tokens and secrets in all but what the tests placed themselves. Certificates are among that: in their base64,
        as in a JWT's, stands the name localhost."""
        placed = [argument for name in ("secrets", "certificates", "tls") for argument in ("--skip", name)]
        return subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", *placed, self.path],
                              input="\n".join(sentinel.used()), capture_output=True, text=True)


@pytest.fixture(scope="session")
def run():
    made = Run()
    yield made
    for webhook in made.ending:
        webhook.kill()
    if not os.environ.get("KUBE_INTROSPECT_KEEP") and not made.failed:
        shutil.rmtree(made.path, ignore_errors=True)


def pytest_configure(config):
    Run.failed = False


def pytest_runtest_logreport(report):
    if report.failed:
        Run.failed = True


def pytest_collection_modifyitems(items):
    """The search comes last, when all others have written what they write."""
    items.sort(key=lambda item: item.path.name == "test_sentinel.py")


@pytest.fixture(scope="session")
def certificates(run):
    return run.certificates


@pytest.fixture
def provider(certificates):
    made = Provider(certificates)
    yield made
    made.stop()


@pytest.fixture
def providers(certificates):
    """A function that makes one more provider."""
    made = []

    def make(**more):
        made.append(Provider(certificates, **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def _word(request):
    return request.node.name.removeprefix("test_").translate(str.maketrans("/[]: ", "-----"))[:48]


@pytest.fixture
def start(run, request):
    """A function that starts a webhook: start(provider, issuer changes, changes). At the end of the test each must stop with
    exit status 0, if it has not already."""
    started = []

    def make(provider=None, issuer=None, changes=None, issuers=None, discovery=False, ready=True, **more):
        listed = issuers if issuers is not None else [configuration.issuer(provider, issuer, discovery=discovery)]
        webhook = Webhook(run.folder(_word(request)), run.certificates, listed, changes, **more)
        started.append(webhook)
        return webhook.wait_ready() if ready else webhook

    yield make
    run.end(started)


class Shared:
    """A provider and a webhook that the tests of a module share; each uses tokens of its own."""

    def __init__(self, provider, webhook):
        self.provider, self.webhook, self.caller = provider, webhook, webhook.caller()


@pytest.fixture(scope="session")
def share(run, certificates):
    """share(word, issuer changes, changes) is a block with a Shared."""

    @contextmanager
    def make(word, issuer=None, changes=None):
        provider = Provider(certificates)
        webhook = Webhook(run.folder(word), certificates, [configuration.issuer(provider, issuer)], changes)
        made = Shared(provider, webhook.wait_ready())
        yield made
        made.caller.close()
        run.end([webhook])
        provider.stop()

    return make


@pytest.fixture(scope="module")
def shared(share, request):
    """The module may define ISSUER and CHANGES, laid over the configuration."""
    module = request.module
    with share(module.__name__.removeprefix("test_"), getattr(module, "ISSUER", None), getattr(module, "CHANGES", None)) as made:
        yield made
