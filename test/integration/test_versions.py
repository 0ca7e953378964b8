"""TokenReview v1 and v1beta1: the answer is in the version that was asked in."""

import json

import pytest

from lib import reply, sentinel
from lib.caller import V1, V1BETA1, answer_of, body


@pytest.mark.parametrize("version", [V1, V1BETA1])
@pytest.mark.parametrize("verdict", ["allow", "deny", "unavailable"])
def test_each_verdict_comes_in_the_version_asked(shared, version, verdict):
    then = {"allow": reply.active(), "deny": reply.inactive(), "unavailable": reply.error(500)}[verdict]
    token = shared.provider.knows(sentinel.token(), then)
    assert shared.caller.review(token, version=version).verdict == verdict


def test_both_versions_on_one_connection_share_one_fact(shared):
    token = shared.provider.issue()
    for version in (V1, V1BETA1, V1):
        assert shared.caller.review(token, version=version).verdict == "allow"
    assert shared.provider.n_calls(token) == 1


@pytest.mark.parametrize("version", ["authentication.k8s.io/v2", "authentication.k8s.io/v1alpha1", "v1", "", 1])
def test_another_version_is_no_review(shared, version):
    token = shared.provider.issue()
    response = shared.caller.post(body(token, version=version))
    assert response.status == 400 and json.loads(response.body)["kind"] == "Status"
    assert shared.provider.n_calls(token) == 0


def test_the_review_that_kube_apiserver_sends_is_understood(shared):
    token = shared.provider.issue()
    sent = {"kind": "TokenReview", "apiVersion": V1, "metadata": {"creationTimestamp": None},
            "spec": {"token": token, "audiences": ["https://kubernetes.default.svc"]}, "status": {"user": {}}}
    response = shared.caller.post(json.dumps(sent).encode(), "/authenticate?timeout=30s",
                                  headers=[("User-Agent", "kube-apiserver/v1.34.4"), ("Accept", "application/json, */*"),
                                           ("Accept-Encoding", "gzip")])
    assert answer_of(response).response.headers.get("content-encoding") is None
