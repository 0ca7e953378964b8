"""Who may ask: callers with a certificate of the right CA and the right name, and nobody else."""

import socket
import ssl

import pytest

from lib import connection, wait
from lib.caller import answer_of, body
from lib.configuration import ABSENT
from lib.connection import Closed


def attempt(webhook, tls):
    """What a caller with these TLS settings gets: a verdict, or None where the connection ends before one."""
    try:
        with webhook.connect(tls) as opened:
            return answer_of(opened.request("POST", "/authenticate", body(webhook.token))).verdict
    except (Closed, OSError):
        return None


@pytest.fixture(scope="module")
def served(shared):
    shared.webhook.token = shared.provider.issue()
    return shared.webhook


@pytest.mark.parametrize("name", ["client", "client_by_dns_name"])
def test_a_named_caller_is_answered(served, certificates, name):
    assert attempt(served, served.caller_tls(getattr(certificates, name))) == "allow"


@pytest.mark.parametrize("name", ["client_of_other_name", "client_of_other_ca", "client_expired", "server"])
def test_a_caller_is_not_answered_with(served, certificates, name):
    failed = served.metric("kube_introspect_tls_handshakes_total", result="failure") or 0
    assert attempt(served, served.caller_tls(getattr(certificates, name))) is None
    wait.until(lambda: served.metric("kube_introspect_tls_handshakes_total", result="failure") == failed + 1,
               "the failed handshake is counted")


def test_a_caller_without_a_certificate_is_not_answered(served, certificates):
    assert attempt(served, connection.context(certificates.server_ca)) is None


def test_without_client_names_any_certificate_of_the_ca_will_do_and_no_other(provider, start, certificates):
    webhook = start(provider, changes={"listeners": {"authentication": {"tls": {"clientNames": ABSENT}}}})
    webhook.token = provider.issue()
    assert attempt(webhook, webhook.caller_tls(certificates.client_of_other_name)) == "allow"
    assert attempt(webhook, webhook.caller_tls(certificates.client_of_other_ca)) is None
    assert attempt(webhook, connection.context(certificates.server_ca)) is None


def test_the_audit_log_names_the_caller(shared, served, certificates):
    caller = served.caller(certificates.client_by_dns_name)
    _, record = served.reason_of(lambda: caller.review(shared.provider.issue()))
    assert record["caller"] == "kube-apiserver"


def test_nobody_else_can_probe_a_token(shared, served, certificates):
    before = shared.provider.n_calls()
    served.token = shared.provider.issue()
    for name in ("client_of_other_name", "client_of_other_ca", "client_expired"):
        attempt(served, served.caller_tls(getattr(certificates, name)))
    assert shared.provider.n_calls() == before


# ---- protocols


def test_tls_1_2_and_1_3_are_spoken(served):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert attempt(served, served.caller_tls(minimum=version, maximum=version)) == "allow"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_tls_is_refused(served, version):
    old = getattr(ssl.TLSVersion, version)
    assert attempt(served, served.caller_tls(minimum=old, maximum=old, weak=True)) is None


def test_plain_http_is_not_answered(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            got = plain.recv(100)
        except OSError:
            got = b""
    assert not got.startswith(b"HTTP"), got


def test_http_2_is_not_chosen_where_a_caller_offers_it(served):
    with served.connect(served.caller_tls(alpn=["h2", "http/1.1"])) as opened:
        assert opened.socket.selected_alpn_protocol() == "http/1.1"
        assert answer_of(opened.request("POST", "/authenticate", body(served.token))).verdict == "allow"


def test_a_caller_that_offers_http_2_alone_gets_no_http_2(served):
    try:
        with served.connect(served.caller_tls(alpn=["h2"])) as opened:
            assert opened.socket.selected_alpn_protocol() is None
            assert_no_http2(opened)
    except (ssl.SSLError, Closed):
        pass  # no common protocol: the handshake may also fail


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def assert_no_http2(opened):
    """An HTTP/2 server would answer the preface by a SETTINGS frame."""
    opened.send(PREFACE)
    got = b""
    try:
        while piece := opened.socket.recv(65536):
            got += piece
    except (ssl.SSLError, OSError):
        pass
    assert got == b"" or got.startswith(b"HTTP/1."), f"an HTTP/2 preface was answered by {got[:40]!r}"


def test_http_2_by_prior_knowledge_is_not_spoken(served):
    with served.connect() as opened:
        assert_no_http2(opened)


def test_an_upgrade_to_h2c_is_not_followed(served):
    with served.connect() as opened:
        response = opened.request("POST", "/authenticate", body(served.token),
                                  headers=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                                           ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
        assert response.status != 101 and "upgrade" not in response.headers
        assert answer_of(response).verdict == "allow"


def test_pipelined_reviews_are_answered_in_turn(shared, served):
    tokens = [shared.provider.issue(preferred_username=f"user-{n}") for n in range(5)]
    with served.connect() as opened:
        opened.send(b"".join(connection.request_bytes("POST", "/authenticate", body(token)) for token in tokens))
        names = [answer_of(opened.response("POST")).user["username"] for _ in tokens]
    assert names == [f"corp:user-{n}" for n in range(5)]


def test_a_body_in_chunks_is_read(shared, served):
    data = body(shared.provider.issue())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(data[at:at + 50]), data[at:at + 50]) for at in range(0, len(data), 50))
    with served.connect() as opened:
        opened.send(b"POST /authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert answer_of(opened.response("POST")).verdict == "allow"


def test_a_body_that_waits_for_100_continue_is_read(shared, served):
    data = body(shared.provider.issue())
    with served.connect() as opened:
        opened.send(connection.request_bytes("POST", "/authenticate", data, [("Expect", "100-continue")])[:-len(data)])
        assert opened.response("HEAD").status == 100
        opened.send(data)
        assert answer_of(opened.response("POST")).verdict == "allow"
