"""Which of a real provider's tokens log in, as whom, and which do not."""

import base64
import json

import pytest

from demo_provider import ELSEWHERE, JWT
from lib import wait
from login import API_SERVER

SUBJECT = {"alice": "user-2bd806c97f0e00af", "bob": "user-81b637d8fcd2c6da"}
ALICE = {"username": "corp:alice", "uid": SUBJECT["alice"], "groups": ["corp:developers", "corp:team-a"]}
BOB = {"username": "corp:bob", "uid": SUBJECT["bob"], "groups": ["corp:viewers"]}

# A reply without an audience is no reason to refuse, so that what the test is about is the only one.
ANY_AUDIENCE = {"introspection": {"absentAudience": "Accept"}}
ACCESS_TOKENS_ONLY = {"introspection": {"absentAudience": "Accept", "absentTokenType": "Refuse"}}
PROGRAMS = {
    "introspection": {"absentSubject": "ClientID", "absentGroups": "Accept"},
    "claimMappings": {"username": {"claim": "sub", "prefix": "program:"}},
}


def payload(jwt):
    part = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


GRANTS = {
    "password": lambda provider, user: provider.password(user),
    "authorization code": lambda provider, user: provider.code_flow(user)["access_token"],
    "refreshed": lambda provider, user: provider.refresh(provider.code_flow(user)["refresh_token"]),
    "device code": lambda provider, user: provider.device_flow(user),
}


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("user, identity", [("alice", ALICE), ("bob", BOB)], ids=["alice", "bob"])
def test_an_opaque_token_becomes_the_identity_of_its_user(provider, start, grant, user, identity):
    token = GRANTS[grant](provider, user)
    assert "." not in token
    answer, reason = start(provider).answer_and_reason(token)
    assert (answer.verdict, reason) == ("allow", "ok")
    assert {key: answer.user[key] for key in identity} == identity
    assert answer.audiences == [API_SERVER]


def test_a_claim_becomes_extra(provider, start):
    login = start(provider, {"claimMappings": {"extra": [{"key": "example.com/email", "claim": "email"}]}})
    assert login.review(provider.password("bob")).user["extra"]["example.com/email"] == ["bob@example.com"]


def test_a_group_is_mapped_and_others_are_dropped(provider, start):
    login = start(provider, {"groupMapping": {"unmapped": "Drop", "rules": [{"group": "platform-admins", "to": ["admins", "on-call"]}]}})
    assert login.review(provider.password("carol")).user["groups"] == ["corp:admins", "corp:on-call"]


def test_a_jwt_of_this_provider_is_a_definite_no(provider, start):
    """oidc-provider introspects no JWT: 400 unsupported_token_type, which is an answer and no outage."""
    token = provider.password(resource=JWT)
    assert payload(token)["iss"] == provider.url
    assert start(provider).verdict(token) == ("deny", "unsupported_token_type")


def test_a_jwt_that_is_refused_is_asked_about_once(provider, start):
    login, token = start(provider, {"cache": {"ttl": "60s", "negativeTTL": "60s"}}), provider.password(resource=JWT)
    assert [login.verdict(token) for _ in range(3)] == [("deny", "unsupported_token_type")] * 3
    assert [record["cache"] for record in login.records()] == ["miss", "negative", "negative"]


def test_a_token_that_the_provider_does_not_know_is_a_definite_no(provider, start):
    assert start(provider).verdict("Zq0-unknown-to-the-provider-4Rb8Wn2Ke6Ty1Ux") == ("deny", "inactive")


def test_a_token_for_another_audience_is_refused(provider, start):
    assert start(provider).verdict(provider.password(resource=ELSEWHERE)) == ("deny", "audience_mismatch")


def test_a_token_without_an_audience_is_refused_unless_it_is_accepted(provider, start):
    token = provider.password(resource=None)
    assert start(provider).verdict(token) == ("deny", "audience_absent")
    assert start(provider, ANY_AUDIENCE).verdict(token) == ("allow", "ok")


def test_a_token_of_a_program_logs_in_as_its_client(provider, start):
    answer, reason = start(provider, PROGRAMS).answer_and_reason(provider.client_credentials())
    assert (answer.verdict, reason) == ("allow", "ok")
    assert answer.user["username"] == "program:deployer" and not answer.user.get("groups")


def test_a_token_of_a_program_is_refused_where_only_users_may_log_in(provider, start):
    assert start(provider).verdict(provider.client_credentials()) == ("deny", "subject_absent")


def test_a_token_of_a_program_without_groups_is_refused_unless_that_is_accepted(provider, start):
    login = start(provider, {**PROGRAMS, "introspection": {"absentSubject": "ClientID"}})
    assert login.verdict(provider.client_credentials()) == ("deny", "groups_absent")


def test_a_token_of_a_client_that_may_not_log_in_is_refused(provider, start):
    login = start(provider, {**PROGRAMS, "tokens": {"clientIDs": ["kubectl"]}})
    assert login.verdict(provider.client_credentials()) == ("deny", "client_refused")
    assert login.verdict(provider.password()) == ("allow", "ok")


def test_a_refresh_token_is_refused_though_the_provider_calls_it_active(provider, start):
    token = provider.code_flow()["refresh_token"]
    reply = provider.introspect(token)
    assert reply["active"] is True and reply["sub"] == SUBJECT["alice"] and "token_type" not in reply and "aud" not in reply
    assert start(provider).verdict(token) == ("deny", "audience_absent")


def test_a_refresh_token_is_refused_by_its_type_where_audiences_are_not_asked_for(provider, start):
    login = start(provider, ACCESS_TOKENS_ONLY)
    assert login.verdict(provider.code_flow()["refresh_token"]) == ("deny", "token_type_absent")
    assert login.verdict(provider.password(resource=None)) == ("allow", "ok")


def test_an_id_token_is_refused(provider, start):
    token = provider.code_flow()["id_token"]
    assert payload(token)["iss"] == provider.url and payload(token)["aud"] == "kubectl"
    assert start(provider, ANY_AUDIENCE).verdict(token) == ("deny", "unsupported_token_type")


def test_a_jwt_stays_here_where_the_issuer_takes_only_opaque_tokens(provider, start):
    login = start(provider, {"tokens": {"jwt": False}})
    login.verdict(provider.password(resource=JWT))
    (record,) = login.records()
    assert record["verdict"] == "deny" and record["cache"] == "none", record


def test_a_token_that_is_bound_to_a_key_is_refused(provider, start):
    token = provider.key_bound()
    assert provider.introspect(token)["cnf"]["jkt"]
    assert start(provider, PROGRAMS).verdict(token) == ("deny", "token_bound")


def test_a_token_that_is_bound_to_a_certificate_is_refused(provider, start):
    token = provider.certificate_bound()
    assert provider.introspect(token)["cnf"]["x5t#S256"]
    assert start(provider, PROGRAMS).verdict(token) == ("deny", "token_bound")


def test_a_token_is_refused_once_it_has_expired_however_long_the_cache_would_keep_it(own_provider, start):
    provider = own_provider(token_ttl=6)
    login = start(provider, {"cache": {"ttl": "60s"}, "clockSkew": "0s"})
    token = provider.password()
    assert login.verdict(token) == ("allow", "ok")
    answer = wait.until(lambda: (refused := login.review(token)).verdict != "allow" and refused, "the expired token is refused")
    assert answer.verdict == "deny"
