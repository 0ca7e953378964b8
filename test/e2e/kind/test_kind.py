"""What only a whole cluster can show: kubeadm's API server, the kubelet, kube-proxy, our image and our manifests together."""

import json
import time

import pytest

from conftest import NAMESPACE
from lib import wait

TTL_SECONDS, API_SERVER_SECONDS, OUTER_SECONDS = 1, 1, 10
READERS = (
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-readers"},
     "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "e2e-developers"},
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "e2e-readers"},
     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "corp:developers"}]},
)


@pytest.fixture(scope="module", autouse=True)
def bindings(kind):
    kind.apply(*READERS)


def test_a_user_is_who_the_claims_say(kind):
    user = kind.whoami(kind.provider.password("alice"))
    assert user["username"] == "corp:alice"
    assert user["groups"] == ["corp:developers", "corp:team-a", "system:authenticated"]


def test_a_binding_lets_its_group_in_and_nobody_else(kind):
    kind.must("get", "configmaps", token=kind.provider.password("alice"))
    refused = kind.run("get", "configmaps", token=kind.provider.password("bob"))
    assert refused.returncode != 0 and "Forbidden" in refused.stderr, refused.stderr


def test_garbage_is_refused(kind):
    assert not kind.is_in("Zq0-nobodys-token-4Rb8Wn2Ke6Ty1Ux")


def test_a_revoked_token_is_refused_in_time(kind, measured):
    token = kind.provider.password("alice")
    assert kind.is_in(token)
    kind.provider.revoke(token)
    begun, most = time.monotonic(), TTL_SECONDS + API_SERVER_SECONDS + OUTER_SECONDS
    while True:
        asked = time.monotonic() - begun
        if not kind.is_in(token):
            break
        assert asked < most + 2 * wait.SLOWNESS, f"still in after {asked:.1f} s"
        time.sleep(0.1)
    measured(f"revoked, then 401 after {asked:.1f} s; it may take {most} s")


def test_the_pods_run_under_the_restricted_profile(kind):
    labels = kind.get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = kind.get("pods", "--namespace", NAMESPACE, "--selector=app.kubernetes.io/name=kube-introspect")["items"]
    assert len(pods) == 2 and all(pod["status"]["phase"] == "Running" for pod in pods)
    assert all(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] for pod in pods)
    root = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": NAMESPACE},
            "spec": {"containers": [{"name": "root", "image": "localhost/nothing"}]}}
    refused = kind.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(root))
    assert refused.returncode != 0 and "violates PodSecurity" in refused.stderr, refused.stderr


def test_the_audit_log_of_the_pods_names_the_user_and_holds_no_token(kind):
    token = kind.provider.password("alice")
    user = kind.whoami(token)
    (credential,) = user["extra"]["kube-introspect.io/credential"]
    found = wait.until(lambda: [record for record in kind.records() if record.get("credential") == credential], "the record of the login")
    assert found[0]["verdict"] == "allow" and found[0]["user"]["username"] == "corp:alice"
    assert token not in kind.must("--namespace", NAMESPACE, "logs", "--selector=app.kubernetes.io/name=kube-introspect", "--tail=-1")


def test_a_rolling_update_fails_no_login(kind, new_logins, measured):
    """Each by a token that nobody has seen before."""
    with new_logins(300) as logins:
        kind.must("--namespace", NAMESPACE, "rollout", "restart", "deployment/kube-introspect")
        kind.rolled_out()
        time.sleep(3)  # what is still on its way to the old pods
    measured(f"{logins.n_in} new users logged in during a rolling update, {len(logins.refused)} were refused")
    assert not logins.errors and logins.n_in > 20
    assert not logins.refused


def test_without_us_service_accounts_and_certificates_work_and_users_are_told_401(kind):
    here = kind.provider.password("alice")
    kind.scale(0)
    try:
        kind.must("get", "nodes")  # the administrator's certificate
        account = kind.must("--namespace=default", "create", "token", "default").strip()
        assert kind.whoami(account)["username"] == "system:serviceaccount:default:default"
        assert not kind.is_in(here)
    finally:
        kind.scale(2)
    # Nothing of that was remembered as a no.
    wait.until(lambda: kind.is_in(here), "the user is in again")
