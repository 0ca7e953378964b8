"""Calls to a provider are bounded, and garbage cannot use up what good tokens need."""

import threading
import time

from lib import sentinel, wait


def refusals(webhook, tokens):
    return webhook.metric("kube_introspect_budget_refusals_total", issuer="corp", tokens=tokens)


def test_beyond_the_budget_nobody_is_asked_and_nothing_is_remembered(provider, start):
    webhook = start(provider, {"introspection": {"budget": {"perSecond": 1, "burst": 3, "unknownTokens": 1}}})
    caller = webhook.caller()
    assert [caller.review(provider.issue()).verdict for _ in range(3)] == ["allow"] * 3
    for token in (provider.issue() for _ in range(5)):  # each second that passes brings one more
        answer, record = webhook.reason_of(lambda: caller.review(token))
        if answer.verdict != "allow":
            break
    assert (answer.verdict, record["reason"]) == ("unavailable", "over_budget")
    assert provider.n_calls(token) == 0 and refusals(webhook, "unknown") == 1
    webhook.wait_log("budget is used up", "unknown tokens")
    wait.until(lambda: caller.review(token).verdict == "allow", "a second later there is budget again", seconds=5)


def test_a_flood_of_garbage_costs_no_good_token_a_login(provider, start):
    """Sixteen callers without a pause, each time with another token that nobody knows; ten good tokens are asked about again each
    half second."""
    webhook = start(provider, {"cache": {"ttl": "500ms"},
                               "introspection": {"budget": {"perSecond": 100, "burst": 100, "unknownTokens": 0.5}}})
    good, caller = [provider.issue() for _ in range(10)], webhook.caller()
    assert {caller.review(token).verdict for token in good} == {"allow"}
    stopping, n_garbage = threading.Event(), [0] * 16

    def flood(index):
        mine = webhook.caller()
        while not stopping.is_set():
            mine.review(f"{sentinel.token()}-{index}-{n_garbage[index]}")
            n_garbage[index] += 1

    threads = [threading.Thread(target=flood, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    began, before, verdicts = time.monotonic(), provider.n_calls(), []
    try:
        def is_flooded():
            verdicts.extend(caller.review(token).verdict for token in good)
            return time.monotonic() - began > 4 and refusals(webhook, "unknown") > 100

        wait.until(is_flooded, "garbage has used up its part of the budget", seconds=30, interval=0)
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    n_calls, seconds = provider.n_calls() - before, time.monotonic() - began
    print(f"{sum(n_garbage)} garbage tokens, {n_calls} calls in {seconds:.1f} s; {len(verdicts)} good logins")
    assert set(verdicts) == {"allow"} and refusals(webhook, "known") == 0
    assert n_calls <= 100 + 100 * (seconds + 0.5)
