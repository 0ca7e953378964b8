"""A morning in a large company: everybody comes at once, and then they work."""

import pytest

from cluster import CALLS, REVIEWS
from crowd import Crowd
from demo_provider import CROWD

N_USERS, PER_SECOND, SECONDS = len(CROWD), 1000, 30
DURATION, HANDSHAKES = "kube_introspect_review_duration_seconds", "kube_introspect_tls_handshakes_total"


class Difference:
    """What the webhook counted between two looks."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def of(self, name, **labels):
        return (self.after.value(name, **labels) or 0) - (self.before.value(name, **labels) or 0)

    def quantile(self, share):
        """The bound of the histogram's bucket that this share of reviews lies below, in milliseconds."""
        bounds = sorted({labels["le"] for name, labels, _ in self.after.samples if name == f"{DURATION}_bucket"}, key=float)
        wanted = share * self.of(f"{DURATION}_count")
        return next(1000 * float(le) for le in bounds if self.of(f"{DURATION}_bucket", le=le) >= wanted)

    def own_p99(self, webhook):
        """Of what reviews took without the call to the provider that they waited for, in milliseconds."""
        records = webhook.audit_records()[-int(self.of(REVIEWS)):]
        own = sorted(record["durationMicroseconds"] - record.get("providerMicroseconds", 0) for record in records)
        return own[int(0.99 * (len(own) - 1))] / 1000

    def text(self, webhook):
        return (f"{self.of(REVIEWS):.0f} reviews, {self.of(CALLS):.0f} calls to the provider, "
                f"{self.of(HANDSHAKES, result='success'):.0f} TLS handshakes, ours took p50 <= {self.quantile(0.5):g} ms, "
                f"p99 <= {self.quantile(0.99):g} ms (p99 without the provider's part {self.own_p99(webhook):.1f} ms)")


@pytest.fixture
def crowd(cluster):
    made = Crowd(cluster)
    yield made
    made.close()


def test_a_crowd_logs_in_within_a_second_and_then_works(cluster, crowd, measured):
    tokens = [cluster.provider.password(user) for user in CROWD]

    def send(n, per_second):
        """n requests; gives what the webhook has counted meanwhile."""
        before = cluster.webhook.metrics()
        crowd.send(tokens, n, per_second)
        seen = Difference(before, cluster.webhook.metrics())
        measured(f"{n} requests of {N_USERS} users in {crowd.seconds:.1f} s: {seen.text(cluster.webhook)}")
        assert not crowd.failures, f"expected no failed request, got {dict(crowd.failures)}; log {cluster.webhook.log}"
        assert seen.of(REVIEWS) == seen.of(REVIEWS, verdict="allow") > 0
        assert seen.of(HANDSHAKES, result="failure") == 0
        return seen

    assert send(N_USERS, N_USERS).of(CALLS) >= N_USERS
    send(PER_SECOND * SECONDS, PER_SECOND)
