"""What an admin changes while users log in: 20 requests a second, each the first of a token that nobody has seen before, so that
no cache answers it. None may fail."""

import os
import shutil
import subprocess
import threading
import time

import pytest

from control_plane import CACHE
from demo_provider import BASIC
from lib import paths, sentinel, wait
from lib.certificates import Authority, Certificate
from logins import Logins

N_TOKENS = 300
N_AT_ONCE = 20
HANDSHAKES = "kube_introspect_tls_handshakes_total"
BOTH_NAMES = {"listeners": {"authentication": {"tls": {"clientNames": ["kube-apiserver", "kube-apiserver-next"]}}}}


@pytest.fixture
def logins(cluster):
    return Logins(cluster, [cluster.provider.password("alice") for _ in range(N_TOKENS)])


@pytest.fixture
def renewed(certificates, folder):
    """A function that makes a new pair in place of one, as certs/README.md has it."""

    def make(name):
        copy = folder / "certificates" / f"renewed-{name}"
        shutil.copytree(certificates.folder, copy)
        for kind in ("crt", "key"):
            os.unlink(copy / f"{name}.{kind}")
        subprocess.run([paths.ROOT / "certs" / "make.sh", copy], check=True, timeout=60)
        return Certificate(copy / f"{name}.crt", copy / f"{name}.key")

    return make


@pytest.fixture
def next_client(folder):
    """The API server's certificate of tomorrow, from another authority and with another name."""
    authority = Authority(folder / "certificates" / "next-client", "next-client-ca")
    return authority, authority.client("apiserver", "kube-apiserver-next")


def serial_of(webhook):
    """Of the certificate that a new connection is shown."""
    with webhook.connect() as connection:
        return connection.socket.getpeercert()["serialNumber"]


def log_in_at_once(cluster):
    """While the provider holds its breath, so that the API server needs a connection for each login and has to open further
    ones. Gives the tokens that were refused."""
    statuses, before = {}, cluster.counted(HANDSHAKES)

    def log_in(token):
        statuses[token] = cluster.status(token)

    threads = [threading.Thread(target=log_in, args=[cluster.provider.password("alice")]) for _ in range(N_AT_ONCE)]
    cluster.provider.freeze()
    try:
        for thread in threads:
            thread.start()
        wait.until(lambda: cluster.counted(HANDSHAKES) > before, "the API server opens a connection")
    finally:
        cluster.provider.thaw()
    for thread in threads:
        thread.join()
    assert len(statuses) == N_AT_ONCE and set(statuses.values()) <= {200, 401}, statuses.values()
    return [token for token, status in statuses.items() if status == 401]


def test_our_certificate_is_replaced(cluster, logins, renewed):
    webhook, pair = cluster.webhook, renewed("webhook")
    before = serial_of(webhook)
    with logins:
        webhook.folder.install(pair, "tls/tls")
        wait.until(lambda: serial_of(webhook) != before, "the new certificate is shown")
        assert not log_in_at_once(cluster)
        logins.wait_for(20)
    logins.assert_no_failure()


def test_our_client_secret_is_replaced(cluster, logins):
    """The new one above the old one, then at the provider, then alone; and so back again."""
    tomorrow = sentinel.remember("Jx6-a-secret-of-tomorrow-3Vk")

    def write(*secrets):
        generation = cluster.webhook.generation()
        cluster.webhook.folder.write("secrets/client-secret", "".join(f"{secret}\n" for secret in secrets))
        cluster.webhook.wait_generation(generation + 1)
        logins.wait_for(20)

    with logins:
        for new, old in ((tomorrow, BASIC.secret), (BASIC.secret, tomorrow)):
            write(new, old)
            cluster.provider.set_secret(BASIC, new)
            logins.wait_for(20)
            write(new)
    logins.assert_no_failure()


def test_the_api_servers_certificate_and_its_authority_are_replaced(start_cluster, next_client, certificates, measured):
    """Who is logged in notices nothing. kube-apiserver reads its pair again for each new connection, and at least every five
    minutes. When it finds another one, it closes all of its connections, those with a first login under way too: whoever is
    hit gets one 401, which nobody remembers."""
    cluster, (authority, pair) = start_cluster(changes=BOTH_NAMES, flags={CACHE: None}), next_client
    known = Logins(cluster, [cluster.provider.password("bob")], expected=403)
    with known, Logins(cluster, [cluster.provider.password("alice") for _ in range(N_TOKENS)]) as logins:
        cluster.webhook.folder.copy([certificates.client_ca.cert, authority.cert], "tls/client-ca.crt")
        cluster.webhook.wait_generation(2)
        cluster.control_plane.install_client(pair)
        logins.wait_for(25)  # it keeps what it has read for a second
        hit = log_in_at_once(cluster)
        cluster.webhook.wait_audit(caller="kube-apiserver-next")
        # From here on the old authority is not needed.
        cluster.webhook.folder.copy(authority.cert, "tls/client-ca.crt")
        cluster.webhook.wait_generation(3)
        logins.wait_for(20)
    known.assert_no_failure()
    measured(f"{len(hit)} of {N_AT_ONCE} logins that were under way got one 401")
    assert all(cluster.status(token) == 200 for token in hit)
    assert len(logins.failures) <= 1, "more than the one that was under way"
    assert_only_new_callers(cluster)


@pytest.mark.slow
def test_the_api_server_finds_its_new_certificate_within_five_minutes(start_cluster, next_client, certificates, measured):
    cluster, (authority, pair) = start_cluster(changes=BOTH_NAMES), next_client
    with Logins(cluster, [cluster.provider.password("alice") for _ in range(N_TOKENS)]) as logins:
        cluster.webhook.folder.copy([certificates.client_ca.cert, authority.cert], "tls/client-ca.crt")
        cluster.webhook.wait_generation(2)
        cluster.control_plane.install_client(pair)
        begun = time.monotonic()
        wait.until(lambda: any(record["caller"] == "kube-apiserver-next" for record in cluster.webhook.audit_records()),
                   "the API server shows its new certificate", seconds=315, interval=1)
        measured(f"the new certificate is shown after {time.monotonic() - begun:.0f} s")
        logins.wait_for(40)
    assert len(logins.failures) <= 1, "more than the one that was under way"
    assert_only_new_callers(cluster)


def assert_only_new_callers(cluster):
    """Of those who log in from now on."""
    tokens = [cluster.provider.password("alice") for _ in range(5)]
    records = [cluster.reason_of(lambda token=token: cluster.status(token))[1] for token in tokens]
    assert {record["caller"] for record in records} == {"kube-apiserver-next"}


def test_a_restart_of_our_process_is_not_noticed_by_who_is_logged_in(cluster, measured):
    """Who is new while it is away is refused, and asked about again at the next try."""
    here, new = cluster.provider.password("alice"), cluster.provider.password("alice")
    with Logins(cluster, [here]) as logins:
        begun = time.monotonic()
        cluster.webhook.stop()
        assert cluster.status(new) == 401
        cluster.webhook.restart().wait_ready()
        wait.until(lambda: cluster.status(new) == 200, "the new user is in")
        measured(f"stopped, started again, and a new user is in after {time.monotonic() - begun:.2f} s")
        logins.wait_for(20)
    logins.assert_no_failure()
