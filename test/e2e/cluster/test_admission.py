"""An API server that asks about every change of our users, and about nothing else; its memory of logins is two minutes."""

import time

import pytest

from cluster import ADMISSIONS, DEVELOPERS, Cluster
from control_plane import CACHE
from lib import wait
from refusals import SLACK_SECONDS, Refusals, by_kubectl, by_request, poll

RECHECK_SECONDS = 1.0
CHANGES = ["create", "update", "patch", "delete", "exec"]
IN_DEFAULT = "--namespace=default"
WRITERS = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-readers"},
           "rules": [{"apiGroups": ["", "apps", "rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]}]}
RULES = [
    {"name": "mfa", "match": {"resources": ["secrets"]}, "requireToken": {"acr": ["gold"]}, "action": "Deny",
     "message": "sign in again with a second factor"},
    {"name": "soon", "match": {"resources": ["configmaps"], "operations": ["CREATE"]}, "requireToken": {"acr": ["gold"]},
     "action": "Warn", "message": "this will need a second factor"},
    {"name": "mapped", "match": {"resources": ["rolebindings.rbac.authorization.k8s.io"]},
     "subjects": {"groups": "Mapped", "users": "Forbidden"}, "action": "Deny", "message": "bind a group of ours"}]


@pytest.fixture(scope="module")
def asking(folder, programs, etcd, certificates, cluster_certificates, provider):
    made = Cluster(folder / "asking", programs, etcd, certificates, cluster_certificates, provider, flags={CACHE: None},
                   issuer={"cache": {"ttl": "30s"}}, handle={"recheckAfter": f"{RECHECK_SECONDS:g}s"}, authorizes=False, rules=RULES)
    made.kubectl.apply(WRITERS, DEVELOPERS[1])
    yield made
    made.stop()


def test_a_change_is_asked_about_and_a_read_is_not(asking):
    token = asking.provider.password("alice")
    asking.kubectl.must("create", "configmap", "made", IN_DEFAULT, token=token)
    (record,) = asking.webhook.wait_audit(request={"verb": "CREATE", "resource": "configmaps", "namespace": "default", "name": "made"})
    assert (record["verdict"], record["user"]["username"], record["caller"]) == ("allow", "corp:alice", "kube-apiserver")
    before = asking.counted(ADMISSIONS, verdict="allow", reason="ok")
    asking.kubectl.must("get", "configmap", "made", IN_DEFAULT, token=token)
    assert asking.counted(ADMISSIONS, verdict="allow", reason="ok") == before


def test_a_dry_run_is_asked_about(asking):
    token = asking.provider.password("alice")
    asking.kubectl.must("create", "configmap", "dry", "--dry-run=server", IN_DEFAULT, token=token)
    record = asking.webhook.wait_audit(request={"verb": "CREATE", "resource": "configmaps", "namespace": "default", "name": "dry",
                                                "dryRun": True})[-1]
    assert record["verdict"] == "allow"


def test_a_rule_denies_and_a_warning_is_shown(asking):
    token = asking.provider.password("alice")
    done = asking.kubectl.run("create", "secret", "generic", "s", IN_DEFAULT, token=token)
    assert done.returncode != 0 and "sign in again with a second factor (rule mfa)" in done.stderr, done.stderr
    assert "validate.kube-introspect.io" in done.stderr
    done = asking.kubectl.run("create", "configmap", "warned", IN_DEFAULT, token=token)
    assert done.returncode == 0 and "Warning: kube-introspect: this will need a second factor (rule soon)" in done.stderr, done.stderr


@pytest.mark.parametrize("subject, is_allowed", [("--group=corp:developers", True), ("--group=system:masters", False),
                                                 ("--group=other", False), ("--user=corp:bob", False),
                                                 ("--serviceaccount=default:x", True)])
def test_what_a_binding_may_name(asking, subject, is_allowed):
    token = asking.provider.password("alice")
    done = asking.kubectl.run("create", "rolebinding", f"b-{abs(hash(subject))}", "--clusterrole=e2e-readers", subject, IN_DEFAULT,
                              token=token)
    assert (done.returncode == 0) is is_allowed, done.stderr
    assert is_allowed or "bind a group of ours (rule mapped)" in done.stderr


def test_a_revoked_token_changes_nothing_while_the_login_still_stands(asking, measured):
    token = asking.provider.password("alice")
    ask = by_kubectl("create", "configmap", "#", IN_DEFAULT)(asking, token)
    assert ask()
    asking.provider.revoke(token)
    seconds = poll(ask, RECHECK_SECONDS + SLACK_SECONDS * wait.SLOWNESS)
    measured(f"revoked, and the change that kubectl sent after {seconds:.2f} s was refused")
    assert asking.status(token) == 200, "reads are not asked about, and the API server still holds the login"


def test_every_kind_of_change_is_refused_in_time(asking, measured):
    asking.kubectl.as_admin("create", "configmap", "e2e-there", IN_DEFAULT)
    refusals = Refusals(asking, [by_request(kind) for kind in CHANGES], RECHECK_SECONDS)
    measured(f"{', '.join(CHANGES)}: {refusals.text()}")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_the_times_of_the_documentation_with_admission(start_cluster, measured, seconds):
    cluster = start_cluster(flags={CACHE: None}, issuer={"cache": {"ttl": "30s"}}, handle={"recheckAfter": f"{seconds:g}s"},
                            authorizes=False, rules=[])
    cluster.kubectl.apply(WRITERS, DEVELOPERS[1])
    for kind in ("create", "exec"):
        measured(Refusals(cluster, by_request(kind), seconds).row(f"`{kind}` by HTTP, ten times a second"))


def test_without_the_webhook_administrators_work_on_and_our_users_change_nothing(start_cluster, measured):
    cluster = start_cluster(flags={CACHE: None}, handle={}, authorizes=False, rules=[])
    cluster.kubectl.apply(WRITERS, DEVELOPERS[1])
    token = cluster.provider.password("alice")
    cluster.kubectl.must("create", "configmap", "before", IN_DEFAULT, token=token)
    cluster.webhook.stop()
    begun = time.monotonic()
    done = cluster.kubectl.run("create", "configmap", "after", IN_DEFAULT, token=token)
    measured(f"without the webhook a user's change failed after {time.monotonic() - begun:.2f} s")
    assert done.returncode != 0 and "failed calling webhook" in done.stderr, done.stderr
    begun = time.monotonic()
    cluster.kubectl.as_admin("create", "configmap", "after", IN_DEFAULT)
    measured(f"and an administrator's was made within {time.monotonic() - begun:.2f} s")
    cluster.kubectl.as_admin("delete", "validatingwebhookconfiguration", "kube-introspect")
