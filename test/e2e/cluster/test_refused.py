"""Tokens that are no good: the API server says 401, and the audit log says why."""

import pytest

from demo_provider import ELSEWHERE, JWT
from lib import wait

TOKENS = {
    "garbage": (lambda provider: "Zq0-nobodys-token-9Lx4Rb8Wn2Ke6Ty1Ux", "inactive"),
    "that looks like a JWT": (lambda provider: "eyJhbGciOiJub25lIn0.eyJpc3MiOiJuby1vbmUifQ.c2lnbmF0dXJl", None),
    "for another audience": (lambda provider: provider.password(resource=ELSEWHERE), "audience_mismatch"),
    "without an audience": (lambda provider: provider.password(resource=None), "audience_absent"),
    "bound to a key": (lambda provider: provider.key_bound(), "token_bound"),
    "bound to a certificate": (lambda provider: provider.certificate_bound(), "token_bound"),
    "refresh": (lambda provider: provider.code_flow()["refresh_token"], "audience_absent"),
    "ID": (lambda provider: provider.code_flow()["id_token"], "unsupported_token_type"),
    "JWT that the provider does not introspect": (lambda provider: provider.password(resource=JWT), "unsupported_token_type"),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_refused(cluster, kind):
    make, reason = TOKENS[kind]
    token = make(cluster.provider)
    status, record = cluster.reason_of(lambda: cluster.status(token))
    assert status == 401
    assert record["verdict"] == "deny" and reason in (None, record["reason"]), record


def test_an_expired_token_is_refused(own_provider, start_cluster):
    provider = own_provider(token_ttl=6)
    cluster = start_cluster(provider=provider)
    used = provider.password()
    assert cluster.status(used) == 200
    unused = provider.password()
    wait.until(lambda: not provider.introspect(unused)["active"], "the token has expired")
    status, record = cluster.reason_of(lambda: cluster.status(unused))
    assert (status, record["verdict"]) == (401, "deny"), record
    wait.until(lambda: cluster.status(used) == 401, "the API server forgets whom it let in", seconds=15, interval=0.2)
