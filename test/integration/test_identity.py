"""Claims become a user: what arrives at the API server, to the letter."""

import pytest

from lib.configuration import ABSENT

ISSUER = {"claimMappings": {"extra": [{"key": "example.com/tenant", "claim": "tenant"},
                                      {"key": "example.com/roles", "claim": "roles"}]}}


def user_of(shared, **claims):
    answer = shared.caller.review(shared.provider.issue(**claims))
    assert answer.verdict == "allow", answer.review
    return answer.user


def refused(shared, **claims):
    answer, record = shared.webhook.reason_of(lambda: shared.caller.review(shared.provider.issue(**claims)))
    assert answer.verdict != "allow", answer.review
    return record["reason"]


def test_a_name_with_every_kind_of_character_arrives_unchanged(shared):
    name = 'Zo\u00eb "the <admin>" \\ O\'Neil & \U0001f680 \u2028'
    assert user_of(shared, preferred_username=name)["username"] == "corp:" + name


def test_groups_arrive_in_order_each_once_at_least(shared):
    assert user_of(shared, groups=["b", "a", "c"])["groups"] == ["corp:b", "corp:a", "corp:c"]


def test_one_group_as_text_is_a_list_of_one(shared):
    assert user_of(shared, groups="developers")["groups"] == ["corp:developers"]


def test_no_groups_are_no_groups(shared):
    assert user_of(shared, groups=[]).get("groups", []) == []


def test_extra_has_the_mapped_claims_and_an_absent_one_is_left_out(shared):
    extra = user_of(shared, tenant="blue", roles=["a", "b"])["extra"]
    assert extra["example.com/tenant"] == ["blue"] and extra["example.com/roles"] == ["a", "b"]
    assert "example.com/tenant" not in user_of(shared).get("extra", {})


def test_a_token_with_a_jti_is_named_in_the_credential_id(shared):
    extra = user_of(shared, jti="abc-123").get("extra", {})
    assert extra.get("authentication.kubernetes.io/credential-id") == ["JTI=abc-123"]


@pytest.mark.parametrize("groups, reason", [
    (["ok", 5], "claim_type_invalid"), ({"a": 1}, "claim_type_invalid"), (5, "claim_type_invalid"), (True, "claim_type_invalid"),
    ([None], "claim_type_invalid"), ([["a"]], "claim_type_invalid"), (["a\nb"], "group_invalid"), (["x" * 300], "group_invalid"),
], ids=repr)
def test_groups_that_cannot_be_mapped_are_never_silently_fewer(shared, groups, reason):
    assert refused(shared, groups=groups) == reason


def test_a_distributed_groups_claim_is_an_overage(shared):
    claims = {"groups": None, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}
    assert refused(shared, **claims) == "groups_overage"


def test_five_hundred_and_twelve_groups_are_mapped_and_one_more_is_an_overage(shared):
    assert len(user_of(shared, groups=[f"g{n}" for n in range(512)])["groups"]) == 512
    assert refused(shared, groups=[f"g{n}" for n in range(513)]) == "groups_overage"


@pytest.mark.parametrize("token_type", ["Refresh", "ID", "N_A", "DPoP", "mac", ""], ids=repr)
def test_what_is_no_bearer_token_does_not_log_in(shared, token_type):
    assert refused(shared, token_type=token_type) in ("token_type_refused", "token_bound", "token_type_absent")


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_bearer_is_read_in_any_case(shared, token_type):
    assert user_of(shared, token_type=token_type)


@pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {"kid": "x"}, {}, "x"], ids=repr)
def test_a_token_that_is_bound_to_a_key_does_not_log_in(shared, cnf):
    assert refused(shared, cnf=cnf) in ("token_bound", "claim_type_invalid")


def test_a_client_credentials_token_logs_in_as_its_client_only_where_that_was_asked_for(provider, start, shared):
    service = {"sub": None, "preferred_username": None, "client_id": "robot"}
    assert refused(shared, **service) == "subject_absent"
    webhook = start(provider, {"introspection": {"absentSubject": "ClientID"},
                               "claimMappings": {"username": {"claim": "sub", "prefix": "corp:"}}})
    assert webhook.caller().review(provider.issue(**service)).user["username"] == "corp:robot"


def test_the_client_may_be_named_by_azp(provider, start):
    webhook = start(provider, {"tokens": {"clientIDs": ["kubectl"]}})
    caller = webhook.caller()
    assert caller.review(provider.issue(client_id=None, azp="kubectl")).verdict == "allow"
    assert caller.review(provider.issue(client_id=None, azp="another")).verdict == "deny"
    assert caller.review(provider.issue(client_id=None)).verdict == "deny"


def test_groups_are_mapped_before_their_prefix(provider, start):
    webhook = start(provider, {"groupMapping": {"unmapped": "Keep", "rules": [
        {"group": "platform-admins", "to": ["cluster-admins", "on-call"]}]}})
    user = webhook.caller().review(provider.issue(groups=["platform-admins", "other"])).user
    assert user["groups"] == ["corp:cluster-admins", "corp:on-call", "corp:other"]


def test_unmapped_groups_can_be_dropped(provider, start):
    webhook = start(provider, {"groupMapping": {"unmapped": "Drop", "rules": [{"group": "a", "to": ["b"]}]}})
    user = webhook.caller().review(provider.issue(groups=["a", "system:masters", "other"])).user
    assert user["groups"] == ["corp:b"]


def test_absent_groups_can_be_accepted(provider, start):
    webhook = start(provider, {"introspection": {"absentGroups": "Accept"}})
    answer = webhook.caller().review(provider.issue(groups=None))
    assert answer.verdict == "allow" and not answer.user.get("groups")


def test_no_system_name_is_ever_granted_whatever_the_configuration(provider, start):
    no_prefix = {"claimMappings": {"username": {"prefix": ""}, "groups": {"prefix": ""}}}
    webhook = start(provider, no_prefix)
    caller = webhook.caller()
    for claims in ({"preferred_username": "system:admin"}, {"preferred_username": "system:"}, {"groups": ["a", "system:masters"]},
                   {"groups": ["system:authenticated"]}):
        assert caller.review(provider.issue(**claims)).verdict == "deny", claims


def test_without_a_groups_mapping_nobody_asks_for_groups(provider, start):
    webhook = start(provider, {"claimMappings": {"groups": ABSENT}})
    user = webhook.caller().review(provider.issue(groups=["a"])).user
    assert not user.get("groups")


@pytest.mark.parametrize("claims, verdict", [({"token_use": "access"}, "allow"), ({"token_use": "id"}, "deny"), ({}, "deny"),
                                             ({"token_use": ["access"]}, "deny")], ids=repr)
def test_a_claim_rule_holds_or_refuses(provider, start, claims, verdict):
    webhook = start(provider, {"claimValidationRules": [{"claim": "token_use", "requiredValue": "access"}]})
    assert webhook.caller().review(provider.issue(**claims)).verdict == verdict
