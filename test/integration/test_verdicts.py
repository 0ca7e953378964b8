"""The three verdicts, as the API server sees them: HTTP 200 always; a user, a definite no without an error, or an error that
keeps the API server from caching."""

import time

import pytest

from lib import reply, sentinel
from lib.reasons import read as reasons


def test_an_active_token_is_allowed_with_its_user(shared):
    token = shared.provider.issue(sub="u-77", preferred_username="alice", groups=["developers", "on-call"])
    answer, record = shared.webhook.reason_of(lambda: shared.caller.review(token))
    assert answer.verdict == "allow"
    assert answer.user == {"username": "corp:alice", "uid": "u-77", "groups": ["corp:developers", "corp:on-call"],
                           "extra": {"kube-introspect.io/credential": [record["credential"]]}}


def test_an_inactive_token_is_a_definite_no_without_an_error(shared):
    answer = shared.caller.review(sentinel.token())
    assert answer.verdict == "deny"
    assert "error" not in answer.status, "the API server would not cache this no"


def test_a_token_that_our_rules_refuse_is_a_definite_no_without_an_error(shared):
    answer = shared.caller.review(shared.provider.issue(aud="somebody-else"))
    assert answer.verdict == "deny"


def test_members_beside_active_false_change_nothing(shared):
    token = shared.provider.knows(sentinel.token(), reply.inactive(sub="u-1", preferred_username="alice", aud="kubernetes",
                                                                   exp=int(time.time()) + 3600))
    assert shared.caller.review(token).verdict == "deny"


@pytest.mark.parametrize("fault, reason", [
    (reply.error(500, "server_error"), "provider_error"),
    (reply.error(503), "provider_error"),
    (reply.error(429), "provider_throttled"),
    (reply.error(401, "invalid_client"), "client_credentials_rejected"),
    (reply.hang_up(), "provider_unreachable"),
    (reply.plain(200, "not json"), "provider_reply_invalid"),
], ids=["500", "503", "429", "401", "hang-up", "no-json"])
def test_a_provider_that_cannot_say_is_an_error_that_is_not_cached(shared, fault, reason):
    token = shared.provider.knows(sentinel.token(), fault)
    answer, record = shared.webhook.reason_of(lambda: shared.caller.review(token))
    assert answer.verdict == "unavailable" and record["reason"] == reason
    shared.provider.knows(token, reply.active())
    assert shared.caller.review(token).verdict == "allow", "the provider's fault was remembered as a no"


def test_the_error_is_the_sentence_of_its_reason_and_nothing_of_the_providers(shared):
    token = shared.provider.knows(sentinel.token(), reply.error(500, description="secret words of the provider"))
    answer = shared.caller.review(token)
    assert answer.error == reasons()["provider_error"][1]
    assert b"secret words" not in answer.response.body
    assert "secret words" not in shared.webhook.log_text()


def test_an_answer_holds_nothing_of_the_token(shared):
    token = shared.provider.issue()
    body = shared.caller.review(token).response.body.decode()
    assert not any(token[at:at + 12] in body for at in range(len(token) - 11))


def test_answers_are_not_to_be_stored_by_anyone_between(shared):
    assert shared.caller.review(shared.provider.issue()).response.headers.get("cache-control") == "no-store"
