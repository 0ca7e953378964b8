"""What is none of the webhook's business stays with the API server, or here."""

import pytest

from cluster import CALLS, REVIEWS

SERVICE_ACCOUNT = "system:serviceaccount:default:e2e-robot"


@pytest.fixture
def service_account_token(cluster):
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "e2e-robot", "namespace": "default"}})
    return cluster.kubectl.as_admin("create", "token", "e2e-robot", "--namespace=default").strip()


def changed(jwt):
    """The same JWT with another signature."""
    head, payload, signature = jwt.split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head}.{payload}.{signature[:middle]}{other}{signature[middle + 1:]}"


def test_a_service_account_never_reaches_us(cluster, service_account_token):
    before = cluster.counted(REVIEWS)
    assert cluster.kubectl.whoami(token=service_account_token)["username"] == SERVICE_ACCOUNT
    assert cluster.counted(REVIEWS) == before


def test_a_client_certificate_never_reaches_us(cluster):
    before = cluster.counted(REVIEWS)
    user = cluster.kubectl.whoami(kubeconfig=cluster.kubectl.certificate_user)
    assert user["username"] == "certificate-user" and "certificate-users" in user["groups"]
    assert cluster.counted(REVIEWS) == before


def test_a_request_without_any_credential_never_reaches_us(cluster):
    before = cluster.counted(REVIEWS)
    assert cluster.status(None) in (401, 403)
    assert cluster.counted(REVIEWS) == before


def test_a_forged_service_account_reaches_us_and_goes_no_further(cluster, service_account_token):
    reviews, calls = cluster.counted(REVIEWS), cluster.counted(CALLS)
    status, record = cluster.reason_of(lambda: cluster.status(changed(service_account_token)))
    assert status == 401
    assert (record["verdict"], record["cache"]) == ("deny", "none"), record
    assert (cluster.counted(REVIEWS) - reviews, cluster.counted(CALLS) - calls) == (1, 0)
