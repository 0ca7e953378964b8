"""Reviews that somebody asks of the API server itself, which passes them on to the webhook."""

import pytest

from lib import sentinel
from login import API_SERVER
from test_tokens import ALICE

ELSEWHERE = "https://elsewhere.example.com"


def review(cluster, token, audiences=None):
    spec = {"token": sentinel.remember(token), **({"audiences": audiences} if audiences else {})}
    return cluster.kubectl.create({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})["status"]


@pytest.mark.parametrize("audiences", [None, [API_SERVER], [API_SERVER, ELSEWHERE]], ids=["none", "its own", "its own and another"])
def test_a_review_that_asks_for_audiences(cluster, audiences):
    status = review(cluster, cluster.provider.password("alice"), audiences)
    assert status["authenticated"] is True and status["user"]["username"] == ALICE["username"]
    assert status["audiences"] == [API_SERVER]


def test_a_review_for_another_audience_alone_is_refused(cluster):
    token = cluster.provider.password("alice")
    status, record = cluster.reason_of(lambda: review(cluster, token, [ELSEWHERE]))
    assert not status.get("authenticated") and "user" not in {k for k, v in status.items() if v}
    assert (record["verdict"], record["reason"]) == ("deny", "audience_not_asked")
    assert review(cluster, token, [API_SERVER])["authenticated"] is True
