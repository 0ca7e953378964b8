"""The model's policy as the program reads it."""

from trouble import TIMEOUT


def seconds(value):
    return f"{value * 1000:.0f}ms"


def document(policy):
    """Of one issuer, what differs from lib.configuration's."""
    changes = {
        "claimMappings": {"username": {"claim": "preferred_username", "prefix": policy.prefix},
                          "groups": {"claim": "groups", "prefix": policy.prefix}},
        "cache": {"ttl": seconds(policy.ttl), "negativeTTL": seconds(policy.negative_ttl), "refreshAhead": seconds(policy.refresh_ahead)},
        "clockSkew": seconds(policy.clock_skew),
        "introspection": {"timeout": seconds(TIMEOUT), "retries": retries(policy), "breaker": {"minimumCalls": 3, "openFor": "1s"}},
    }
    if policy.tier is not None:
        changes["cache"]["tiers"] = [{"groups": ["platform-admins"], "ttl": seconds(policy.tier)}]
    if policy.max_stale is not None:
        changes["outage"] = {"maxStale": seconds(policy.max_stale), "groups": list(policy.outage_groups)}
    if policy.tenant is not None:
        changes["claimValidationRules"] = [{"claim": "tenant", "requiredValue": policy.tenant}]
    if policy.budget is not None:
        rate, burst, part = policy.budget
        changes["introspection"]["budget"] = {"perSecond": rate, "burst": burst, "unknownTokens": part}
    return changes


def retries(policy):
    """None where they would make it hard to say what is still under way, or how many calls were made."""
    return 0 if policy.refresh_ahead or policy.budget else 1
