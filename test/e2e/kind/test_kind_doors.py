"""The two doors after the login, in a cluster as kubeadm and our manifests make it. The API server has had the files for both from the
start (hack/kind/config.py), and asks as soon as users carry a handle: these tests come last, for they give them one."""

import base64
import json
import shutil
import time

import pytest
import yaml

from conftest import NAMESPACE, STATE
from lib import wait

RECHECK_SECONDS, SLACK_SECONDS = 1.0, 0.5
ROLLOUT_SECONDS = 90
LOGIN_SECONDS = 10  # for so long the API server holds a login as good, whatever its flags say
FROZEN = "e2e-frozen"
RBAC = "rbac.authorization.k8s.io"
WRITERS = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FROZEN}},
    {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-writers"},
     "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
               {"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["*"]},
               {"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["bind"]}]},
    {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "e2e-writers"},
     "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "e2e-writers"},
     "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "corp:developers"}]},
)
# Beside the rules of overlays/watching, which refuse nothing.
FROZEN_RULE = {"name": "nothing-changes-here", "match": {"namespaces": [FROZEN]}, "requireToken": {"amr": ["mfa"]}, "action": "Deny",
               "message": "this namespace is frozen"}
IN_DEFAULT, IN_FROZEN = "--namespace=default", f"--namespace={FROZEN}"


def overlay(manifests):
    """An overlay as docs/admission.md has one made: overlays/kind with components/admission, and its configuration with what the doors
    need and the rules of overlays/watching."""
    made = manifests / "overlays" / "e2e-doors"
    made.mkdir(exist_ok=True)
    config = yaml.safe_load((manifests / "overlays/kind/config.yaml").read_text())
    rules = yaml.safe_load((manifests / "overlays/watching/rules.yaml").read_text())["admission"]["rules"]
    assert {rule["action"] for rule in rules} == {"Audit"}, "overlays/watching refuses something"
    config["handle"] = {"keyFile": "secrets/handle-key", "recheckAfter": f"{RECHECK_SECONDS:g}s"}
    config["listeners"]["admission"] = {**config["listeners"]["authentication"], "address": "0.0.0.0:8444"}
    config["admission"] = {"rules": [*rules, FROZEN_RULE]}
    # Longer than a login: within it the login's own ttl refuses nobody.
    config["issuers"][0]["cache"]["ttl"] = "30s"
    (made / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))))  # without anchors, which are refused
    authority = base64.b64encode((STATE / "certs" / "webhook-ca.crt").read_bytes()).decode()
    (made / "ca.yaml").write_text(yaml.safe_dump([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}]))
    # One replica: the fact that a handle leads to is where its login was answered.
    (made / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": NAMESPACE,
        "resources": ["../kind"], "components": ["../../components/admission"],
        "configMapGenerator": [{"name": "kube-introspect-config", "behavior": "replace", "files": ["config.yaml"],
                                "options": {"immutable": True}}],
        "replicas": [{"name": "kube-introspect", "count": 1}],
        "patches": [{"path": "ca.yaml", "target": {"kind": "ValidatingWebhookConfiguration", "name": "kube-introspect"}}],
    }))
    return made


@pytest.fixture(scope="module")
def doors(kind):
    """The same cluster, where users carry a handle and both doors are asked."""
    made = overlay(STATE / "manifests")
    kind.apply(*WRITERS)
    try:
        kind.must("apply", "--kustomize", str(made))
        kind.rolled_out()
        ours = ("pod", "--namespace", NAMESPACE, "--selector=app.kubernetes.io/name=kube-introspect")
        wait.until(lambda: len(kind.get(*ours)["items"]) == 1, "one pod is left", ROLLOUT_SECONDS)
        yield kind
    finally:
        kind.must("delete", "--ignore-not-found", "validatingwebhookconfiguration/kube-introspect")
        kind.must("apply", "--kustomize", str(STATE / "manifests/overlays/kind"))
        shutil.rmtree(made)


@pytest.fixture
def alice(doors):
    """A new token of hers, whose user carries a handle."""
    token = doors.provider.password("alice")
    (handle,) = doors.whoami(token)["extra"]["kube-introspect.io/handle"]
    assert handle.startswith("1.")
    return token


def records_of(kind, **request):
    """The audit records of reviews about such a request."""
    return [record for record in kind.records() if request.items() <= record.get("request", {}).items()]


def test_every_request_of_a_user_is_asked_about_and_nobody_elses(doors, alice):
    doors.must("get", "configmaps", IN_DEFAULT, token=alice)
    found = wait.until(lambda: records_of(doors, verb="list", resource="configmaps", namespace="default"), "the record of the request")
    assert found[0]["kind"] == "SubjectAccessReview" and found[0]["verdict"] == "allow" and found[0]["user"]["username"] == "corp:alice"
    doors.must("get", "configmaps", "--namespace=kube-public")  # the administrator, by certificate
    asked = {record["user"]["username"] for record in doors.records() if record["kind"] == "SubjectAccessReview"}
    assert asked == {"corp:alice"}, "kubelet, controllers and certificates are asked about too"


def test_a_revoked_token_is_refused_at_its_next_request_while_its_login_stands(doors, alice, measured):
    doors.must("get", "configmaps", IN_DEFAULT, token=alice)
    begun = time.monotonic()
    doors.provider.revoke(alice)
    while True:
        asked = time.monotonic() - begun
        refused = doors.run("get", "configmaps", IN_DEFAULT, token=alice)
        if refused.returncode != 0:
            break
        assert asked < RECHECK_SECONDS + SLACK_SECONDS * wait.SLOWNESS, f"let through after {asked:.1f} s"
    measured(f"revoked, and the request that kubectl sent after {asked:.2f} s was refused; recheckAfter is {RECHECK_SECONDS:g} s")
    assert "Forbidden" in refused.stderr and "kube-introspect: " in refused.stderr, refused.stderr
    assert asked < LOGIN_SECONDS, "the API server has asked about the token again: that is another test"
    refused = doors.run("create", "configmap", "e2e-never", IN_DEFAULT, token=alice)
    assert refused.returncode != 0
    assert doors.run("get", "configmap", "e2e-never", IN_DEFAULT).returncode != 0, "a revoked token has made a change"


def test_a_rule_for_changes_refuses(doors, alice):
    refused = doors.run("create", "configmap", "e2e-made", IN_FROZEN, token=alice)
    assert refused.returncode != 0
    assert 'admission webhook "validate.kube-introspect.io" denied the request' in refused.stderr, refused.stderr
    assert "this namespace is frozen (rule nothing-changes-here)" in refused.stderr, refused.stderr
    doors.must("create", "configmap", "e2e-made", IN_DEFAULT, token=alice)  # where the rule is not about
    doors.must("create", "configmap", "e2e-made", IN_FROZEN)  # the administrator is none of its users


def test_a_rule_of_the_watching_week_only_records(doors, alice):
    doors.must("create", "rolebinding", "e2e-by-name", "--clusterrole=e2e-readers", "--user=corp:bob", IN_DEFAULT, token=alice)
    (record, *_) = wait.until(lambda: records_of(doors, verb="CREATE", resource="rolebindings", name="e2e-by-name"), "the record of the change")
    assert record["kind"] == "AdmissionReview" and record["verdict"] == "allow"
    (rule,) = [rule for rule in record["rules"] if rule["name"] == "only-mapped-groups"]
    assert (rule["action"], rule["result"]) == ("Audit", "failed")


def test_the_watching_overlay_stops_nobody_for_want_of_an_answer(doors, alice):
    """As it is shipped it asks beside the API server, where nobody listens here."""
    doors.must("apply", "--kustomize", str(STATE / "manifests/overlays/watching"))
    shown = doors.get("validatingwebhookconfiguration", "kube-introspect")["webhooks"][0]
    assert shown["failurePolicy"] == "Ignore"
    try:
        wait.until(lambda: doors.run("create", "configmap", "e2e-watched", IN_FROZEN, token=alice).returncode == 0,
                   "the API server has taken the new configuration up")
    finally:
        doors.must("apply", "--kustomize", str(STATE / "manifests/overlays/e2e-doors"))


def test_with_no_pod_left_users_are_refused_and_the_cluster_works_on(doors, alice):
    doors.scale(0)
    refused = doors.run("get", "configmaps", IN_DEFAULT, token=alice)
    assert refused.returncode != 0
    doors.must("create", "configmap", "e2e-without", IN_FROZEN)  # by certificate
    account = doors.must(IN_DEFAULT, "create", "token", "default").strip()
    assert doors.whoami(account)["username"] == "system:serviceaccount:default:default"
    # A controller's change: it makes the account and its ConfigMap of every new namespace.
    doors.must("create", "namespace", "e2e-late")
    wait.until(lambda: json.loads(doors.must("get", "serviceaccounts", "--namespace=e2e-late", "--output=json"))["items"],
               "a controller has made a change")
