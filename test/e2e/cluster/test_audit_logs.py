"""The API server's audit log and ours, side by side."""

from lib import wait


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
