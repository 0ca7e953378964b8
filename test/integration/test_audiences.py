"""Audiences: whom a token is for, whom the review asks about, and what the answer names."""

import pytest

from lib.caller import body

API = "https://kubernetes.default.svc"
FOREIGN = "https://another.example.com"


@pytest.fixture(scope="module")
def told(share):
    """A webhook that knows the API server's own audiences."""
    with share("audiences-told", {"issuer": {"audiences": ["kubernetes", "k8s-prod"]}}, {"apiAudiences": [API]}) as made:
        yield made


# What the token is for, against issuer.audiences: [kubernetes, k8s-prod].
TOKEN = [
    ("kubernetes", "ok"),
    (["kubernetes"], "ok"),
    (["account", "k8s-prod"], "ok"),
    (["kubernetes", "k8s-prod"], "ok"),
    ("account", "audience_mismatch"),
    (["account", "Kubernetes", "kubernetes "], "audience_mismatch"),
    ("kubernetes.example.com", "audience_mismatch"),
    ([], "audience_absent"),
    (None, "audience_absent"),
    ("", "audience_mismatch"),
]


@pytest.mark.parametrize("aud, reason", TOKEN, ids=repr)
def test_a_token_for(told, aud, reason):
    answer, record = told.webhook.reason_of(lambda: told.caller.review(told.provider.issue(aud=aud), [API]))
    assert record["reason"] == reason or {record["reason"], reason} == {"audience_absent", "audience_mismatch"} and not aud
    assert answer.verdict == ("allow" if reason == "ok" else "deny")


# What the review asks for, with a token for `aud`; what the answer names.
ASKED = [
    ("kubernetes", None, None),
    ("kubernetes", [], None),
    ("kubernetes", [API], [API]),
    ("kubernetes", [API, FOREIGN], [API]),
    ("kubernetes", [FOREIGN, API], [API]),
    ("kubernetes", [API, API], [API]),
    ("kubernetes", ["kubernetes"], ["kubernetes"]),
    ("kubernetes", ["kubernetes", API], ["kubernetes", API]),
    (["kubernetes", FOREIGN], [API, FOREIGN], [API]),  # the provider's word alone does not make an API audience
    (["account", "k8s-prod"], ["k8s-prod", "kubernetes"], ["k8s-prod"]),
]


@pytest.mark.parametrize("aud, asked, named", ASKED, ids=repr)
def test_the_answer_names_only_what_was_asked_and_is_covered(told, aud, asked, named):
    answer = told.caller.review(told.provider.issue(aud=aud), asked)
    assert answer.verdict == "allow"
    assert answer.audiences == named
    assert "audiences" in answer.status or named is None


@pytest.mark.parametrize("aud, asked", [
    ("kubernetes", [FOREIGN]), (["kubernetes", FOREIGN], [FOREIGN]), ("k8s-prod", ["kubernetes"])], ids=repr)
def test_a_token_for_none_of_the_audiences_asked_is_refused(told, aud, asked):
    answer, record = told.webhook.reason_of(lambda: told.caller.review(told.provider.issue(aud=aud), asked))
    assert (answer.verdict, record["reason"]) == ("deny", "audience_not_asked")


def test_a_remembered_fact_is_judged_by_the_audiences_of_each_review_anew(told):
    token = told.provider.issue()
    for _ in range(2):
        assert told.caller.review(token, [API]).verdict == "allow"
        assert told.caller.review(token, [FOREIGN]).verdict == "deny"
    assert told.provider.n_calls(token) == 1


@pytest.mark.parametrize("asked, named", [(None, None), ([API], None), (["kubernetes", API], ["kubernetes"])], ids=repr)
def test_without_api_audiences_the_answer_leaves_out_what_it_cannot_know(shared, asked, named):
    answer = shared.caller.review(shared.provider.issue(), asked)
    assert answer.verdict == "allow" and answer.audiences == named


def test_an_absent_audience_can_be_accepted_and_another_one_never_is(provider, start):
    webhook = start(provider, {"introspection": {"absentAudience": "Accept"}})
    caller = webhook.caller()
    assert caller.review(provider.issue(aud=None)).verdict == "allow"
    assert caller.review(provider.issue(aud="account")).verdict == "deny"


def test_thirty_two_audiences_are_read_and_more_are_no_review(told):
    token = told.provider.issue()
    assert told.caller.review(token, [f"a{n}" for n in range(31)] + [API]).audiences == [API]
    assert told.caller.post(body(token, [f"a{n}" for n in range(33)])).status == 400
