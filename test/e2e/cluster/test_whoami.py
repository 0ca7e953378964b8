"""What a user's token makes them in the cluster, and what they may do with it."""

from cluster import CREDENTIAL
from test_tokens import ALICE, BOB

AUTHENTICATED = "system:authenticated"


def test_kubectl_shows_a_user_as_the_claims_say(cluster):
    token = cluster.provider.password("alice")
    user, record = cluster.reason_of(lambda: cluster.kubectl.whoami(token=token))
    assert user == {**ALICE, "groups": [*ALICE["groups"], AUTHENTICATED],
                    "extra": {"example.com/email": ["alice@example.com"], CREDENTIAL: [record["credential"]]}}


def test_a_binding_to_a_mapped_group_lets_its_users_in_and_nobody_else(cluster):
    listing = ("get", "configmaps", "--namespace=default")
    cluster.kubectl.must(*listing, token=cluster.provider.password("alice"))
    refused = cluster.kubectl.run(*listing, token=cluster.provider.password("bob"))
    assert refused.returncode != 0 and "Forbidden" in refused.stderr and BOB["username"] in refused.stderr, refused.stderr
    assert cluster.status(cluster.provider.password("bob")) == 403


def test_an_api_server_that_speaks_v1beta1_gets_its_answer(start_cluster):
    cluster = start_cluster(flags={"authentication-token-webhook-version": "v1beta1"})
    assert cluster.kubectl.whoami(token=cluster.provider.password("bob"))["username"] == BOB["username"]
    assert cluster.status("Zq0-nobodys-token-4Rb8Wn2Ke6Ty1Ux") == 401
