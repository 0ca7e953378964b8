"""How the webhook proves to a real provider who it is."""

import pytest

from demo_provider import BASIC, ODD, POST, TLS

METHODS = {"client_secret_basic": BASIC, "client_secret_post": POST, "tls_client_auth": TLS,
           "client_secret_basic with characters that must be form-encoded": ODD}


@pytest.mark.parametrize("method", METHODS)
def test_the_provider_answers_a_webhook_that_proves_itself_by(provider, start, method):
    assert start(provider, client=METHODS[method]).verdict(provider.password()) == ("allow", "ok")


@pytest.mark.parametrize("client", [BASIC, POST], ids=lambda client: client.method)
def test_a_wrong_secret_is_our_fault_and_no_verdict_on_the_token(provider, start, client):
    login = start(provider, client=client, secrets=["Jx6-this-is-not-the-secret-9Lp"], ready=False)
    assert login.verdict(provider.password()) == ("unavailable", "client_credentials_rejected")


@pytest.mark.parametrize("client", [BASIC, POST, ODD], ids=lambda client: client.id)
def test_the_old_secret_is_tried_when_the_provider_does_not_know_the_new_one_yet(provider, start, client):
    login = start(provider, client=client, secrets=["Jx6-a-secret-of-tomorrow-3Vk", client.secret])
    assert login.verdict(provider.password()) == ("allow", "ok")


def test_a_certificate_that_the_provider_does_not_know_is_our_fault(provider, start):
    """The API server's own certificate, of another authority than the provider trusts."""
    changes = {"introspection": {"client": {"certFile": "tls/tls.crt", "keyFile": "tls/tls.key"}}}
    login = start(provider, changes, client=TLS, ready=False)
    assert login.verdict(provider.password())[0] == "unavailable"
