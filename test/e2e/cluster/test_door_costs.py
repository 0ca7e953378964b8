"""What a request costs the API server when it asks about it, and a change likewise: with and without, side by side in one run."""

import json
import statistics

import pytest

from cluster import DEVELOPERS
from control_plane import CACHE
from crowd import Crowd
from lib import connection, sentinel
from refusals import REQUESTS
from test_authorizer import WRITERS

N_ROUNDS, N_USERS = 3, 20
# In a hurry for so long; then so many, so many a second, which is well below what the API server can do.
HURRY_SECONDS, N_PACED, PER_SECOND = 2, 800, 200
DOORS = {"nobody is asked": {"authorizes": False}, "every request is asked about": {},
         "changes are asked about": {"authorizes": False, "rules": []}, "both": {"rules": []}}
# A read passes admission by, so it is not measured there.
PARTS = [("get", "nobody is asked"), ("get", "every request is asked about"), *(("create", door) for door in DOORS)]


class Door:
    """A cluster, and what its users ask."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.kubectl.apply(WRITERS, DEVELOPERS[1])
        cluster.kubectl.as_admin("create", "configmap", "e2e-there", "--namespace=default")
        tokens = [sentinel.remember(cluster.provider.password("alice")) for _ in range(N_USERS)]
        self.requests = {kind: [self._request(kind, token) for token in tokens] for kind in ("get", "create")}

    @staticmethod
    def _request(kind, token):
        method, path, body, _, _ = REQUESTS[kind]
        headers = [("Authorization", f"Bearer {token}")]
        return connection.request_bytes(method, path, json.dumps(body).encode() if body else b"", headers)

    def measure(self, kind):
        """Requests a second, and the p99 at a fixed pace in milliseconds. Connections are new each time: the API server closes those
        that say nothing for half a minute."""
        crowd = Crowd(self.cluster)
        crowd.hurry(self.requests[kind], HURRY_SECONDS)
        per_second = len(crowd.latencies) / crowd.seconds
        crowd.pace(self.requests[kind], N_PACED, PER_SECOND)
        crowd.close()
        assert not crowd.failures, dict(crowd.failures)
        return per_second, 1000 * statistics.quantiles(crowd.latencies, n=100)[98]


@pytest.mark.slow
def test_the_costs_of_the_documentation(start_cluster, measured):
    """Rounds of all parts, so that each has its share of whatever else the machine does."""
    doors = {name: Door(start_cluster(flags={CACHE: None}, issuer={"cache": {"ttl": "30s"}}, handle={}, **how))
             for name, how in DOORS.items()}
    rounds = [{part: doors[part[1]].measure(part[0]) for part in PARTS} for _ in range(N_ROUNDS + 1)][1:]  # the first one warms
    for kind, door in PARTS:
        base = (kind, "nobody is asked")
        columns = [_text(rounds, lambda of, i=i: of[kind, door][i], ".0f" if i == 0 else ".1f") for i in (0, 1)]
        ratios = [_text(rounds, lambda of, i=i: of[kind, door][i] / of[base][i], ".2f") for i in (0, 1)]
        measured(f"| {kind} | {door} | {columns[0]} | {ratios[0]} | {columns[1]} ms | {ratios[1]} |")


def _text(rounds, of, form):
    values = [of(each) for each in rounds]
    return f"{statistics.median(values):{form}} [{min(values):{form}} .. {max(values):{form}}]"
