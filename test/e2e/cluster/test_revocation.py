"""How long a token is good for after it was revoked at the provider: our ttl, the API server's cache, and ten seconds that
kube-apiserver adds."""

import pytest

from cluster import CONFIGMAPS, OUTER_SECONDS
from control_plane import CACHE, DEFAULT_CACHE_SECONDS
from login import TTL_SECONDS
from revocations import Revocations, by_http, by_kubectl, poll

# The settings whose times docs/revocation.md has: cache.ttl of ours, and the API server's, in seconds. None: its default.
TABLE = {"by default": (30, None), "as we ship it": (30, 10), "short": (1, 1)}


def test_a_revoked_token_is_refused_in_time(cluster, measured):
    token = cluster.provider.password("alice")
    ask = by_http(cluster, token)
    assert ask() == 200
    cluster.provider.revoke(token)
    seconds = poll(ask, TTL_SECONDS + 1 + OUTER_SECONDS)
    measured(f"revoked, then 401 after {seconds:.1f} s (our ttl 1 s, the API server's cache 1 s, and its {OUTER_SECONDS} s)")
    refused = cluster.kubectl.run("get", "configmaps", token=token)
    assert refused.returncode != 0 and "Unauthorized" in refused.stderr, refused.stderr


@pytest.mark.long
def test_tokens_are_refused_in_time_with_the_default_cache_of_two_minutes(long_revocations, measured):
    """Revoked by ten users who came at different times. They are at it since the session began."""
    seconds = long_revocations.wait()
    assert len(seconds) == len(long_revocations.users)
    assert min(seconds) > OUTER_SECONDS, "that is shorter than the cache: it was not the default one"
    measured(long_revocations.text())


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_the_times_of_the_documentation_through_kubectl(start_cluster, measured, name):
    ttl, cache = TABLE[name]
    cluster = start_cluster(issuer={"cache": {"ttl": f"{ttl}s"}}, flags={CACHE: cache and f"{cache}s"})
    cache = cache or DEFAULT_CACHE_SECONDS
    revocations = Revocations(cluster, by_kubectl, ttl + cache + OUTER_SECONDS, spread_seconds=cache, interval=1)
    revocations.wait()
    measured(f"| {name} | {ttl} s | {cache} s | {revocations.median():.0f} s | {revocations.worst():.0f} s "
             f"| {ttl + cache + OUTER_SECONDS} s |")


def test_a_watch_that_is_open_goes_on(cluster):
    """It was authenticated when it began. A new request is refused."""
    token = cluster.provider.password("alice")
    client = cluster.client(token)
    watch = client.open(CONFIGMAPS.split("?")[0] + "?watch=true&timeoutSeconds=60")
    assert watch.status == 200
    cluster.provider.revoke(token)
    poll(by_http(cluster, token), TTL_SECONDS + 1 + OUTER_SECONDS)
    cluster.kubectl.as_admin("create", "configmap", "e2e-watched", "--namespace=default")
    try:
        while b"e2e-watched" not in (line := watch.readline()):
            assert line, "the watch has ended"
    finally:
        client.close()
        cluster.kubectl.as_admin("delete", "configmap", "e2e-watched", "--namespace=default")
