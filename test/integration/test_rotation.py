"""Certificates and secrets are renewed while callers go on: not one request fails."""

import itertools
import subprocess
import time

from lib import paths, sentinel, wait
from lib.configuration import BY_CERTIFICATE
from lib.connection import Closed
from lib.load import Load


EXPIRY = "kube_introspect_certificate_expiry_timestamp_seconds"


def refused(webhook, certificate):
    """Whether a caller with this certificate gets no verdict any more."""
    caller = webhook.caller(certificate)
    try:
        caller.review(sentinel.token())
    except (OSError, Closed):
        return True
    finally:
        caller.close()
    return False


def serial(webhook):
    with webhook.connect() as opened:
        return opened.socket.getpeercert()["serialNumber"]


def test_the_servers_certificate_is_renewed_under_load(provider, start, certificates):
    webhook = start(provider)
    before, n = serial(webhook), webhook.generation()
    with Load(webhook, provider.issue(), reconnect_every=20) as load:
        load.wait_for(100)
        # Key first: for a moment the two do not belong together, which is a bad reload that nobody may notice.
        webhook.folder.install(certificates.server_renewed, "tls/tls")
        wait.until(lambda: serial(webhook) != before, lambda: f"the new certificate is presented; log {webhook.log}")
        load.wait_for(100)
    load.assert_no_failure()
    webhook.wait_generation(n + 1)


# It was taken, in place of a good one, and nobody could log in any more.
def test_a_certificate_that_has_ended_already_is_not_taken_in_place_of_a_good_one(provider, start, certificates):
    webhook = start(provider)
    before, end = serial(webhook), webhook.metric(EXPIRY, certificate="authentication")
    webhook.folder.install(certificates.server_ended, "tls/tls")
    webhook.wait_log("listeners.authentication.tls.certFile", "the certificate ended at", "the configuration before it stays in use")
    assert serial(webhook) == before and webhook.metric(EXPIRY, certificate="authentication") == end
    assert webhook.metric("kube_introspect_config_last_reload_successful") == 0
    done = subprocess.run([paths.BINARY, "check", "--config", webhook.folder.config], cwd=webhook.folder.path, capture_output=True,
                          text=True, timeout=20 * wait.SLOWNESS)
    assert done.returncode == 1 and "the certificate ended at" in done.stderr
    webhook.folder.install(certificates.server_renewed, "tls/tls")
    wait.until(lambda: serial(webhook) != before, lambda: f"the new certificate is presented; log {webhook.log}")


def test_a_start_with_a_certificate_that_has_ended_says_so_and_serves_whoever_thinks_otherwise(provider, start, certificates):
    webhook = start(provider, prepare=lambda folder: folder.install(certificates.server_ended, "tls/tls"))
    assert "the certificate ended at" in webhook.log_text()
    assert webhook.metric(EXPIRY, certificate="authentication") < time.time()


def test_the_callers_ca_is_renewed_under_load(provider, start, certificates):
    webhook = start(provider)
    old, new = certificates.client, certificates.client_of_other_ca
    assert refused(webhook, new)
    with Load(webhook, provider.issue(), certificate=old, reconnect_every=20) as load:
        load.wait_for(100)
        n = webhook.generation()
        webhook.folder.copy([certificates.client_ca.cert, certificates.other_client_ca.cert], "tls/client-ca.crt")
        webhook.wait_generation(n + 1)  # by every loop
        assert not refused(webhook, new), f"a caller of the new CA is refused; log {webhook.log}"
        load.use(new)
        load.wait_for(100)
        webhook.folder.copy(certificates.other_client_ca.cert, "tls/client-ca.crt")
        wait.until(lambda: refused(webhook, old), f"a caller of the old CA is refused; log {webhook.log}")
        load.wait_for(100)
    load.assert_no_failure()


def test_the_client_secret_is_renewed_under_load(provider, start):
    """New secret first in the file, then the provider changes over, then the old one leaves the file."""
    old, new = sentinel.SECRET, sentinel.secret("renewed")
    webhook = start(provider, {"cache": {"ttl": "0s"}})
    token = provider.issue()
    with Load(webhook, token) as load:
        load.wait_for(100)
        n = webhook.generation()
        webhook.folder.write("secrets/client-secret", f"{new}\n{old}\n")
        webhook.wait_generation(n + 1)
        load.wait_for(100)
        provider.secrets = {new}
        load.wait_for(100)
        webhook.folder.write("secrets/client-secret", new + "\n")
        webhook.wait_generation(n + 2)
        load.wait_for(100)
    load.assert_no_failure()
    assert provider.calls(token)[-1].basic()[1] == new


def test_the_providers_ca_is_renewed_under_load(provider, start, certificates):
    webhook = start(provider, {"cache": {"ttl": "0s"}})
    numbers = itertools.count()
    with Load(webhook, lambda: provider.issue(n=next(numbers)), n_threads=2) as load:
        load.wait_for(50)
        n = webhook.generation()
        webhook.folder.copy([certificates.provider_ca.cert, certificates.other_provider_ca.cert], "tls/provider-ca.crt")
        webhook.wait_generation(n + 1)
        load.wait_for(50)
        provider.use_certificate(certificates.provider_of_other_ca)
        connections = provider.n_connections
        provider.close_after_next_reply()
        wait.until(lambda: provider.n_connections > connections, "the webhook connects to the provider's new certificate")
        load.wait_for(50)
        webhook.folder.copy(certificates.other_provider_ca.cert, "tls/provider-ca.crt")
        webhook.wait_generation(n + 2)
        load.wait_for(50)
    load.assert_no_failure()


def test_our_certificate_for_the_provider_is_renewed_under_load(provider, start, certificates):
    provider.method = "tls_client_auth"
    renewed = certificates.provider_ca.client("introspector-renewed", "kube-introspect")
    webhook = start(provider, {**BY_CERTIFICATE, "cache": {"ttl": "0s"}})
    token = provider.issue()
    with Load(webhook, token, n_threads=2) as load:
        load.wait_for(50)
        n = webhook.generation()
        webhook.folder.install(renewed, "tls/provider-client")
        webhook.wait_generation(n + 1)
        load.wait_for(50)
    load.assert_no_failure()


def test_a_mounted_secret_is_followed_through_its_symbolic_links(provider, start, certificates):
    """Kubernetes mounts a Secret as links into a dated folder, and exchanges the one link ..data."""

    def as_mounted(folder):
        for name, certificate in (("..1", certificates.server), ("..2", certificates.server_renewed)):
            (folder.path / "tls" / name).mkdir()
            folder.install(certificate, f"tls/{name}/tls")
        (folder.path / "tls" / "..data").symlink_to("..1")
        for name in ("tls.crt", "tls.key"):
            (folder.path / "tls" / name).unlink()
            (folder.path / "tls" / name).symlink_to(f"..data/{name}")

    webhook = start(provider, prepare=as_mounted)
    before = serial(webhook)
    with Load(webhook, provider.issue(), n_threads=2, reconnect_every=10) as load:
        fresh = webhook.folder.path / "tls" / "..data_tmp"
        fresh.symlink_to("..2")
        fresh.rename(webhook.folder.path / "tls" / "..data")
        wait.until(lambda: serial(webhook) != before, lambda: f"the new certificate is presented; log {webhook.log}")
        load.wait_for(50)
    load.assert_no_failure()
    assert "stays in use" not in webhook.log_text(), "the exchange of one link was seen half done"


def test_renewed_certificates_are_seen_in_the_metrics(provider, start, certificates):
    webhook = start(provider)
    name = "kube_introspect_certificate_expiry_timestamp_seconds"
    before = webhook.metric(name, certificate="authentication")
    assert before is not None
    longer = certificates.server_ca.server("server-longer")
    n = webhook.generation()
    webhook.folder.install(longer, "tls/tls")
    webhook.wait_generation(n + 1)
    assert webhook.metric(name, certificate="authentication") >= before
