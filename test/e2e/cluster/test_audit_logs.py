"""The API server's audit log and ours, side by side."""

import subprocess

import pytest

from cluster import CONFIGMAPS, CREDENTIAL, REVIEWS, Cluster
from demo_provider import BASIC
from lib import configuration, jwt, paths, reply, wait
from lib.certificates import Certificate
from lib.provider import Provider

JTI = "4f1e-a-token-id"


@pytest.fixture(scope="module")
def jwt_provider(certificates):
    """One that introspects JWTs, which that of hack/provider does not."""
    its = Certificate(certificates.folder / "provider.crt", certificates.folder / "provider.key")
    made = Provider(certificates, its, secrets=[BASIC.secret])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def two_providers(folder, programs, etcd, certificates, cluster_certificates, provider, jwt_provider):
    issuer = configuration.issuer(jwt_provider, {
        "tokens": {"opaque": False}, "introspection": {"timeout": "10s"}, "claimMappings": {"username": {"prefix": "jwt:"}}}, name="jwt")
    made = Cluster(folder / "two-providers", programs, etcd, certificates, cluster_certificates, provider, issuers=[issuer])
    yield made
    made.stop()


def an_opaque_token(cluster, jwt_provider):
    return cluster.provider.password("alice")


def a_jwt_without_an_id(cluster, jwt_provider):
    return jwt_provider.knows(jwt.signed(iss=jwt_provider.url, aud="kubernetes"), reply.active(iss=jwt_provider.url))


def a_jwt_with_an_id(cluster, jwt_provider):
    return jwt_provider.knows(jwt.signed(iss=jwt_provider.url, aud="kubernetes", jti=JTI), reply.active(iss=jwt_provider.url, jti=JTI))


def documented(cluster, word, **values):
    """What the line of docs/audit.md that begins with this word prints."""
    (line,) = [block for block in (paths.ROOT / "docs" / "audit.md").read_text().split("\n\n") if block.startswith(f"    {word} ")]
    for name in values:
        assert name in line, f"{name} in {line}"
    places = {"/var/log/kubernetes/audit.jsonl": cluster.control_plane.audit_log(),
              "/var/log/kube-introspect/audit.jsonl": cluster.webhook.audit_path}
    for name, place in (places | values).items():
        line = line.replace(name, str(place))
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("make", [an_opaque_token, a_jwt_without_an_id, a_jwt_with_an_id], ids=lambda make: make.__name__)
def test_each_event_of_a_login_leads_to_its_record(two_providers, jwt_provider, make):
    """Those that the API server answered out of its cache too."""
    cluster, token = two_providers, make(two_providers, jwt_provider)
    before, reviews = len(cluster.events()), cluster.counted(REVIEWS)
    status, record = cluster.reason_of(lambda: cluster.status(token))
    assert status in (200, 403) and record["verdict"] == "allow", record
    assert [cluster.status(token) for _ in range(3)] == [status] * 3
    assert cluster.counted(REVIEWS) - reviews == 1, "the API server has asked again: nothing came out of its cache"

    events = cluster.wait_events(4, before, requestURI=CONFIGMAPS)
    assert len(events) == 4 and [event["user"]["extra"][CREDENTIAL] for event in events] == [[record["credential"]]] * 4
    assert {event["user"]["username"] for event in events} == {record["user"]["username"]}
    id_of_jwt = events[0]["user"]["extra"].get("authentication.kubernetes.io/credential-id")
    assert id_of_jwt == ([f"JTI={JTI}"] if make is a_jwt_with_an_id else None)


def test_the_lines_of_the_documentation_find_the_record_and_the_events(two_providers):
    cluster, token = two_providers, two_providers.provider.password("alice")
    before = len(cluster.events())
    _, record = cluster.reason_of(lambda: [cluster.status(token) for _ in range(2)])
    events = cluster.wait_events(2, before, requestURI=CONFIGMAPS)
    for event in events:
        (line,) = documented(cluster, "grep", AUDIT_ID=event["auditID"])
        assert record["requestID"] in line
    assert documented(cluster, "grep", AUDIT_ID="none") == []
    lines = documented(cluster, "jq", CREDENTIAL=record["credential"])
    assert len(lines) == 2 and all(CONFIGMAPS in line for line in lines), lines


def test_a_review_is_logged_without_its_token(cluster):
    token = cluster.provider.password("alice")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    before = len(cluster.events())
    assert cluster.kubectl.create(review)["status"]["authenticated"] is True

    def logged():
        return [event for event in cluster.events()[before:] if event.get("objectRef", {}).get("resource") == "tokenreviews"]

    (event,) = wait.until(logged, "the event of the review")
    assert "requestObject" not in event and "responseObject" not in event
    assert token not in cluster.control_plane.audit_log().read_text()


def test_a_change_of_rights_is_logged_as_a_whole(cluster):
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": "e2e-logged", "namespace": "default"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "e2e-readers"},
               "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "corp:auditors"}]}
    cluster.kubectl.apply(binding)
    event = wait.until(lambda: [e for e in cluster.events() if e.get("objectRef", {}).get("name") == "e2e-logged"
                                and e["verb"] == "create"], "the event of the binding")[0]
    assert event["requestObject"]["subjects"][0]["name"] == "corp:auditors"
