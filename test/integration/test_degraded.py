"""A provider that is away, and issuers[].outage: for a while people stay who they are, with the groups that were listed for it."""

import time

from lib import configuration, reply, wait

ON_CALL = {"outage": {"maxStale": "10m", "groups": ["on-call"]}, "cache": {"ttl": "300ms"}}
GROUPS = ["developers", "on-call", "platform-admins"]


def groups(answer):
    return answer.user.get("groups", []) if answer.verdict == "allow" else None


def is_degraded(answer):
    return answer.verdict == "allow" and "kube-introspect.io/degraded" in answer.user["extra"]


def wait_degraded(caller, token):
    return wait.until(lambda: next((a for a in [caller.review(token)] if is_degraded(a)), None), "the answer is degraded", seconds=5)


def test_people_keep_the_listed_groups_and_get_the_others_back_with_the_provider(provider, start):
    def attempt():
        webhook = start(provider, ON_CALL)
        caller, token = webhook.caller(), provider.issue(groups=GROUPS)
        assert groups(caller.review(token)) == ["corp:" + name for name in GROUPS]
        provider.stop()
        answer = wait_degraded(caller, token)
        assert groups(answer) == ["corp:on-call"]
        assert answer.user["extra"]["kube-introspect.io/degraded"] == ["provider_unreachable"]
        record = webhook.wait_audit(1, reason="degraded")[0]
        assert record["verdict"] == "allow" and record["user"]["groups"] == ["corp:on-call"] and record["because"] == "provider_unreachable"
        assert caller.review(provider.issue()).verdict == "unavailable", "who was not known before is not known now"
        provider.start()
        began = time.monotonic()
        wait.until(lambda: groups(caller.review(token)) == ["corp:" + name for name in GROUPS], "all groups are back", seconds=5)
        assert time.monotonic() - began < 2 * wait.SLOWNESS
        assert not is_degraded(caller.review(token))

    wait.undisturbed(attempt)


def test_an_open_breaker_serves_degraded_at_once(provider, start):
    webhook = start(provider, {**ON_CALL, "introspection": {"timeout": "200ms"}})
    caller, tokens = webhook.caller(), [provider.issue(groups=GROUPS) for _ in range(50)]
    for token in tokens:
        wait.until(lambda: caller.review(token).verdict == "allow", "each is known")
    provider.script = lambda request: reply.silence()
    wait_degraded(caller, tokens[0])
    wait.until(lambda: caller.review(tokens[0]) and webhook.metric("kube_introspect_breaker_state", issuer="corp") != 0, "the breaker opens")
    began, before, answers = time.monotonic(), provider.n_calls(), []
    while time.monotonic() - began < 2.5:
        answers += [caller.review(token) for token in tokens]
    n_calls, seconds = provider.n_calls() - before, time.monotonic() - began
    print(f"{len(answers)} logins in {seconds:.1f} s, {n_calls} calls to a silent provider")
    assert all(groups(answer) == ["corp:on-call"] for answer in answers)
    assert n_calls <= seconds + 1


def test_an_outage_that_is_configured_in_its_midst_helps_who_was_known(provider, start):
    """As docs/runbooks/provider-down.md has it for whoever had not prepared."""
    before = {name: value for name, value in ON_CALL.items() if name != "outage"}
    webhook = start(provider, before)
    caller, token = webhook.caller(), provider.issue(groups=GROUPS)
    assert caller.review(token).verdict == "allow"
    provider.stop()
    wait.until(lambda: caller.review(token).verdict == "unavailable", "past its ttl nothing is served", seconds=5)
    webhook.reload([configuration.issuer(provider, ON_CALL)])
    assert groups(wait_degraded(caller, token)) == ["corp:on-call"]


def test_a_revocation_that_the_provider_told_of_is_never_undone(provider, start):
    webhook = start(provider, {**ON_CALL, "cache": {"ttl": "300ms", "negativeTTL": "300ms"}})
    caller, token = webhook.caller(), provider.issue(groups=GROUPS)
    assert caller.review(token).verdict == "allow"
    provider.knows(token, reply.inactive())
    wait.until(lambda: caller.review(token).verdict == "deny", "the token is revoked")
    provider.stop()
    wait.until(lambda: caller.review(token).verdict == "unavailable", "past the ttl of the no")
    assert caller.review(token).verdict == "unavailable"


def test_max_stale_ends_it(provider, start):
    webhook = start(provider, {**ON_CALL, "outage": {"maxStale": f"{5 * wait.SLOWNESS:g}s", "groups": ["on-call"]}})
    caller, token = webhook.caller(), provider.issue(groups=GROUPS)
    assert caller.review(token).verdict == "allow"
    provider.stop()
    wait_degraded(caller, token)
    wait.until(lambda: caller.review(token).verdict == "unavailable", "after maxStale nobody is served", seconds=15)


def test_nobody_is_served_past_exp(provider, start):
    webhook = start(provider, ON_CALL)
    caller, token = webhook.caller(), provider.issue(groups=GROUPS, exp=int(time.time() + 5 * wait.SLOWNESS))
    assert caller.review(token).verdict == "allow"
    provider.stop()
    wait_degraded(caller, token)
    wait.until(lambda: caller.review(token).verdict == "deny", "past exp", seconds=15)
    assert webhook.wait_audit(1, reason="expired")
