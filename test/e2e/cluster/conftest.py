"""A real Kubernetes API server that asks the real binary, which asks a real provider."""

import itertools
import os
import subprocess
from pathlib import Path

import pytest

from cluster import OUTER_SECONDS, Cluster
from control_plane import CACHE, DEFAULT_CACHE_SECONDS, ClusterCertificates, Etcd
from lib import paths
from login import TTL_SECONDS
from revocations import Revocations, by_http

_numbers = itertools.count(1)
_measured, _folders = [], []


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; runs where KUBE_INTROSPECT_SLOW is set")
    config.addinivalue_line("markers", "long: takes minutes; begins with the session and is waited for at its end")


def pytest_collection_modifyitems(config, items):
    if not os.environ.get("KUBE_INTROSPECT_SLOW"):
        left_out = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def programs(request):
    """The folder of kube-apiserver, kubectl and etcd. They are built here the first time, and one sees it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        done = subprocess.run([paths.ROOT / "hack" / "kubernetes.sh", "kube-apiserver", "kubectl", "etcd"],
                              stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "there is no API server to test with: hack/kubernetes.sh says above why it could not be built"
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def cluster_certificates(folder):
    return ClusterCertificates(folder / "certificates")


@pytest.fixture(scope="session")
def etcd(folder, programs):
    _folders.append(folder)
    made = Etcd(folder / "etcd", programs)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def cluster(folder, programs, etcd, certificates, cluster_certificates, provider):
    """The one that all tests share that leave everything as they found it."""
    made = Cluster(folder / "cluster", programs, etcd, certificates, cluster_certificates, provider)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def long_revocations(folder, programs, etcd, certificates, cluster_certificates, provider):
    """Users of an API server that has its default cache of two minutes. They work while other tests run."""
    made = Cluster(folder / "two-minutes", programs, etcd, certificates, cluster_certificates, provider, flags={CACHE: None})
    yield Revocations(made, by_http, TTL_SECONDS + DEFAULT_CACHE_SECONDS + OUTER_SECONDS, DEFAULT_CACHE_SECONDS / 10)
    made.stop()


@pytest.fixture(scope="session", autouse=True)
def begun(request):
    """What takes minutes is under way before the first test runs."""
    for item in request.session.items:
        if item.get_closest_marker("long"):
            request.getfixturevalue("long_revocations")


@pytest.fixture
def start_cluster(folder, programs, etcd, certificates, cluster_certificates, provider):
    """A function that starts a cluster for one test."""
    made = []

    def start(provider=provider, **more):
        its_folder = folder / f"cluster-{next(_numbers):02d}"
        made.append(Cluster(its_folder, programs, etcd, certificates, cluster_certificates, provider, **more))
        return made[-1]

    yield start
    for each in made:
        each.stop()


@pytest.fixture
def measured(request):
    """A function that notes a figure, to be shown when all is done."""
    return lambda sentence: _measured.append(f"{request.node.name}: {sentence}")


def pytest_terminal_summary(terminalreporter):
    for line in _measured:
        terminalreporter.write_line(line)
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        for folder in _folders:
            terminalreporter.write_line(f"The logs of every process are kept in {folder}")
