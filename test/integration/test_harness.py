"""The scripted provider and the client do what the other tests rely on."""

import base64
import ssl
import threading

import pytest

from lib import connection, reply, sentinel, wait
from lib.connection import Closed, Connection, request_bytes
from lib.load import Load
from lib.provider import DISCOVERY, INTROSPECTION

AUTHORIZATION = ("Authorization", "Basic " + base64.b64encode(f"kube-introspect:{sentinel.SECRET}".encode()).decode())


@pytest.fixture
def connect(certificates, provider):
    def make(certificate=None, seconds=5):
        return Connection(provider.port, connection.context(certificates.provider_ca, certificate), seconds)

    return make


def introspect(to, token, authorization=AUTHORIZATION):
    return to.request("POST", INTROSPECTION, f"token={token}&token_type_hint=access_token".encode(), [authorization],
                      "application/x-www-form-urlencoded")


def test_the_provider_says_active_of_a_token_that_it_issued_and_inactive_of_another(provider, connect):
    token = provider.issue(groups=["a"])
    to = connect()
    assert b'"active": true' in introspect(to, token).body
    assert introspect(to, sentinel.token()).body == b'{"active": false}'
    assert provider.n_calls() == 2 and provider.n_calls(token) == 1 and provider.n_connections == 1


def test_the_provider_refuses_another_secret(provider, connect):
    assert introspect(connect(), "t", ("Authorization", "Basic a3ViZTp4")).status == 401


def test_the_provider_names_its_endpoint_in_its_discovery_document(provider, connect):
    assert (provider.url + INTROSPECTION).encode() in connect().request("GET", DISCOVERY).body
    assert provider.n_discoveries() == 1


def test_the_provider_stops_and_comes_back_on_the_same_port(provider, connect):
    to = connect()
    introspect(to, "t")
    provider.stop()
    with pytest.raises((Closed, OSError)):
        introspect(to, "t")
    with pytest.raises(OSError):
        connect()
    provider.start()
    assert introspect(connect(), "t").status == 200


def test_the_provider_closes_idle_connections(provider, connect):
    to = connect()
    introspect(to, "t")
    provider.close_idle()
    assert to.is_closed_by_server()


def test_the_provider_closes_a_connection_that_was_idle_for_too_long(provider, connect):
    provider.idle_seconds = 0.05
    assert connect().is_closed_by_server()


def test_the_provider_holds_a_reply_until_it_is_told(provider, connect):
    token, answers = provider.issue(), []
    with provider.holding(token) as go:
        thread = threading.Thread(target=lambda: answers.append(introspect(connect(), token)))
        thread.start()
        provider.wait_for_calls(1, token)
        assert not answers
        go.set()
        thread.join()
    assert answers[0].status == 200


def test_the_provider_knows_a_client_by_its_certificate(provider, connect, certificates):
    provider.method = "tls_client_auth"
    form = b"token=t&client_id=kube-introspect"
    kind = "application/x-www-form-urlencoded"
    assert connect(certificates.provider_client).request("POST", INTROSPECTION, form, content_type=kind).status == 200
    assert connect().request("POST", INTROSPECTION, form, content_type=kind).status == 401


@pytest.mark.parametrize("fault", [reply.hang_up(), reply.reset(), reply.truncated(b"{", 100), reply.raw(b"garbage\r\n")])
def test_the_provider_breaks_off(provider, connect, fault):
    provider.otherwise = fault
    with pytest.raises((Closed, ValueError)):
        introspect(connect(), "t")


def test_the_provider_sends_chunks_without_a_reason_phrase(provider, connect):
    provider.otherwise = reply.chunked({"active": True})
    response = introspect(connect(), "t")
    assert response.body == b'{"active": true}' and response.reason == ""


def test_the_provider_drips(provider, connect):
    provider.otherwise = reply.drip(b'{"active": false}', 0.001)
    assert introspect(connect(), "t").body == b'{"active": false}'


def test_the_client_reads_pipelined_responses(provider, connect):
    to = connect()
    to.send(request_bytes("GET", DISCOVERY) * 3)
    assert [to.response().status for _ in range(3)] == [200, 200, 200]


def test_the_client_trusts_the_ca_it_was_given_only(provider, certificates):
    with pytest.raises(ssl.SSLError):
        Connection(provider.port, connection.context(certificates.other_provider_ca))


def test_waiting_says_what_it_waited_for():
    with pytest.raises(AssertionError, match="the moon is blue"):
        wait.until(lambda: False, "the moon is blue", seconds=0.01)


class FailingWebhook:
    log = "the log"

    def __init__(self, outcomes):
        self.outcomes = outcomes

    def caller(self, _):
        return self

    def close(self):
        pass

    def review(self, _):
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return type("Answer", (), {"verdict": outcome})


@pytest.mark.parametrize("outcome", ["deny", "unavailable", OSError("gone"), AssertionError("HTTP 500")])
def test_the_load_counts_every_failure(outcome):
    with Load(FailingWebhook(["allow", "allow", outcome, "allow"]), "t", n_threads=1) as load:
        wait.until(lambda: load.n_answers > 3, "four answers")
    with pytest.raises(AssertionError, match="got 1.*the log"):
        load.assert_no_failure()


def test_the_load_is_content_when_nothing_failed():
    with Load(FailingWebhook(["allow"]), "t", n_threads=1) as load:
        load.wait_for(10)
    load.assert_no_failure()
