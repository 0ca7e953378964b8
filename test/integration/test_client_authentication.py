"""How the webhook proves to the provider who it is."""

import pytest

from lib import reply, sentinel, wait
from lib.configuration import BY_CERTIFICATE, issuer
from lib.provider import Provider

ODD = sentinel.remember(sentinel.SECRET + " +%:&=/?~\u00e9")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("secret", [sentinel.SECRET, ODD], ids=["plain", "odd"])
def test_a_secret_arrives_as_it_is_written(certificates, start, method, secret):
    provider = Provider(certificates, secrets=[secret])
    provider.method = method
    webhook = start(provider, {"introspection": {"client": {"method": method}}},
                    prepare=lambda folder: folder.write("secrets/client-secret", secret + "\n"))
    assert webhook.caller().review(provider.issue()).verdict == "allow"
    call = provider.calls()[0]
    assert ("authorization" in call.headers) == (method == "client_secret_basic")
    assert ("client_secret" in call.form) == (method == "client_secret_post")
    provider.stop()


def test_an_odd_client_id_arrives_as_it_is_written(certificates, start):
    name = "kube introspect:+%"
    provider = Provider(certificates, client_id=name)
    webhook = start(provider, {"introspection": {"client": {"id": name}}})
    assert webhook.caller().review(provider.issue()).verdict == "allow"
    provider.stop()


def test_a_certificate_takes_the_place_of_a_secret(provider, start):
    provider.method = "tls_client_auth"
    webhook = start(provider, BY_CERTIFICATE)
    assert webhook.caller().review(provider.issue()).verdict == "allow"
    call = provider.calls()[0]
    assert call.client_name == "kube-introspect" and call.form["client_id"] == "kube-introspect"
    assert "authorization" not in call.headers and "client_secret" not in call.form


def test_a_rejected_client_is_unavailable_and_says_so_in_log_and_metrics(provider, start):
    provider.secrets = {"another"}
    webhook = start(provider)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "client_credentials_rejected")
    webhook.wait_log("corp", "credentials")
    assert webhook.metric("kube_introspect_introspection_calls_total", issuer="corp", outcome="rejected") == 1


def test_the_second_secret_of_the_file_is_tried_when_the_first_is_rejected(provider, start):
    webhook = start(provider, prepare=lambda folder: folder.write(
        "secrets/client-secret", f"{sentinel.secret('not-yet-known')}\n{sentinel.SECRET}\n"))
    caller = webhook.caller()
    assert caller.review(provider.issue()).verdict == "allow"
    assert [call.basic()[1] for call in provider.calls()][-1] == sentinel.SECRET


def test_two_secrets_that_are_both_rejected_end_after_two_calls(provider, start):
    provider.secrets = {"another"}
    webhook = start(provider, prepare=lambda folder: folder.write(
        "secrets/client-secret", f"{sentinel.secret('a')}\n{sentinel.secret('b')}\n"))
    token = sentinel.token()
    assert webhook.caller().review(token).verdict == "unavailable"
    assert provider.n_calls(token) == 2


# ---- discovery


def test_the_endpoint_is_found_in_the_discovery_document(provider, start):
    webhook = start(provider, discovery=True)
    wait.until(lambda: webhook.caller().review(provider.issue()).verdict == "allow", "a login with a discovered endpoint")
    assert provider.n_discoveries() == 1
    assert "corp" in webhook.operations("/readyz?verbose")[2]


WRONG = {
    "another issuer": {"issuer": "https://evil.example"},
    "a trailing slash at the issuer": {"issuer": None},
    "no endpoint": {"introspection_endpoint": None},
    "an endpoint without TLS": {"introspection_endpoint": "http://localhost/introspect"},
    "an endpoint that is no text": {"introspection_endpoint": 5},
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_discovery_document_is_not_believed_that_has(provider, start, kind):
    changes = dict(WRONG[kind])
    if kind.startswith("a trailing"):
        changes["issuer"] = provider.url + "/"
    provider.discovery = reply.json(provider.document(**changes))
    webhook = start(provider, discovery=True, ready=False)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "discovery_failed")
    assert provider.n_calls() == 0
    webhook.wait_log("corp", "discovery")


def test_a_discovery_that_failed_is_tried_again_by_itself(provider, start):
    provider.stop()
    webhook = start(provider, discovery=True, ready=False)
    caller = webhook.caller()
    assert caller.review(provider.issue()).verdict == "unavailable"
    provider.start()
    wait.until(lambda: caller.review(provider.issue()).verdict == "allow", f"a login after discovery; log {webhook.log}")


def test_a_discovered_endpoint_survives_a_reload_without_asking_again(provider, start):
    webhook = start(provider, discovery=True)
    caller = webhook.caller()
    wait.until(lambda: caller.review(provider.issue()).verdict == "allow", "a login with a discovered endpoint")
    n = provider.n_discoveries()
    webhook.reload([issuer(provider, {"cache": {"ttl": "31s"}}, discovery=True)])
    assert caller.review(provider.issue()).verdict == "allow"
    assert provider.n_discoveries() <= n + 1  # asked again at leisure, perhaps; but nobody waited for it
