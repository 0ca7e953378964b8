"""The provider cannot be reached for a while."""

import time

import pytest

from cluster import REVIEWS
from lib import wait
from link import Link

BACK_SECONDS = 1.0


@pytest.fixture
def link(provider):
    made = Link(provider.port)
    yield made
    made.cut()


@pytest.fixture
def behind_link(start_cluster, link):
    return start_cluster(issuer={"introspection": {"endpoint": f"{link.url}/token/introspection"}, "cache": {"ttl": "60s"}})


def test_users_who_are_known_stay_and_new_ones_are_in_a_second_after_it_returns(behind_link, link, measured):
    cluster, provider = behind_link, behind_link.provider
    known, new = provider.password("alice"), provider.password("alice")
    assert cluster.status(known) == 200
    link.cut()

    # Past both caches of the API server, it is ours that still knows her.
    before = cluster.counted(REVIEWS, verdict="allow")
    wait.until(lambda: cluster.status(known) == 200 and cluster.counted(REVIEWS, verdict="allow") > before,
               "the API server asks again and is answered", seconds=15, interval=0.2)

    # Each try is asked anew: nobody keeps what nobody said.
    unavailable = cluster.counted(REVIEWS, verdict="unavailable")
    assert [cluster.status(new) for _ in range(3)] == [401] * 3
    assert cluster.counted(REVIEWS, verdict="unavailable") - unavailable == 3

    def comes_back():
        refused = provider.password("alice")
        link.cut()
        assert cluster.status(refused) == 401
        link.mend()
        begun = time.monotonic()
        wait.until(lambda: cluster.status(refused) == 200, "she is in")
        seconds = time.monotonic() - begun
        assert seconds <= BACK_SECONDS * wait.SLOWNESS
        return seconds

    seconds = wait.undisturbed(comes_back)
    measured(f"the provider is back, and a user who was refused meanwhile is in after {seconds:.2f} s")
