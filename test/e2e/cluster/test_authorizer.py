"""An API server that asks about every request of our users, with its memory of logins at its default of two minutes."""

import time

import pytest

from cluster import CONFIGMAPS, DEVELOPERS, REVIEWS, Cluster
from control_plane import CACHE
from lib import wait
from refusals import REQUESTS, SLACK_SECONDS, Refusals, by_http, by_kubectl, by_request, poll

AUTHORIZATIONS = "kube_introspect_authorization_reviews_total"
RECHECK_SECONDS = 1.0
# Developers may also write them, and speak in bob's name.
WRITERS = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-readers"},
           "rules": [{"apiGroups": [""], "resources": ["configmaps", "pods/exec"], "verbs": ["*"]},
                     {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["corp:bob"]}]}
IN_DEFAULT = "--namespace=default"
COMMANDS = {
    "get": ("get", "configmap", "e2e-there", IN_DEFAULT),
    "list": ("get", "configmaps", IN_DEFAULT),
    "create": ("create", "configmap", "#", IN_DEFAULT),
    "delete": ("delete", "configmap", "#", "--ignore-not-found", IN_DEFAULT),
}


@pytest.fixture(scope="module")
def watchful(folder, programs, etcd, certificates, cluster_certificates, provider):
    """A cluster whose API server has our authorizer."""
    made = Cluster(folder / "watchful", programs, etcd, certificates, cluster_certificates, provider, flags={CACHE: None},
                   issuer={"cache": {"ttl": "30s"}}, handle={"recheckAfter": f"{RECHECK_SECONDS:g}s"})
    made.kubectl.apply(WRITERS, DEVELOPERS[1])
    made.kubectl.as_admin("create", "configmap", "e2e-there", IN_DEFAULT)
    yield made
    made.stop()


def test_a_user_carries_a_handle_and_is_asked_about(watchful):
    token = watchful.provider.password("alice")
    before = watchful.counted(AUTHORIZATIONS, verdict="allow", reason="ok")
    extra = watchful.kubectl.whoami(token=token)["extra"]
    assert extra["kube-introspect.io/handle"][0].startswith("1.")
    assert watchful.status(token) == 200
    assert watchful.counted(AUTHORIZATIONS, verdict="allow", reason="ok") > before
    record = watchful.webhook.wait_audit(request={"verb": "list", "resource": "configmaps", "namespace": "default"})[-1]
    assert record["credential"] == extra["kube-introspect.io/credential"][0]
    assert record["user"]["username"] == "corp:alice"


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_revoked_token_is_refused_through_kubectl_while_the_login_still_stands(watchful, measured, verb):
    token = watchful.provider.password("alice")
    ask = by_kubectl(*COMMANDS[verb])(watchful, token)
    assert ask()
    logins = watchful.counted(REVIEWS)
    watchful.provider.revoke(token)
    seconds = poll(ask, RECHECK_SECONDS + SLACK_SECONDS * wait.SLOWNESS)
    measured(f"revoked, and the {verb} that kubectl sent after {seconds:.2f} s was refused")
    assert watchful.counted(REVIEWS) == logins, "the API server has asked about the token again: that is another test"


def test_every_kind_of_request_is_refused_in_time(watchful, measured):
    """Seven users who do nothing else but this. That they are let through before shows that RBAC has nothing against it."""
    logins = watchful.counted(REVIEWS)
    refusals = Refusals(watchful, [by_request(kind) for kind in REQUESTS], RECHECK_SECONDS)
    assert watchful.counted(REVIEWS) == logins + len(REQUESTS), "the API server has asked about a token again: that is another test"
    measured(f"{', '.join(REQUESTS)}: {refusals.text()}")


def test_twenty_users_are_refused_in_time(watchful, measured):
    """Not all at once: a login is a token by password at the provider, which takes its time."""
    refusals = Refusals(watchful, by_http, RECHECK_SECONDS)
    measured(f"recheckAfter {RECHECK_SECONDS:g} s: {refusals.text()}")


def test_twenty_users_are_refused_in_time_by_the_default_of_five_seconds(start_cluster, measured):
    cluster = start_cluster(flags={CACHE: None}, issuer={"cache": {"ttl": "30s"}}, handle={})
    measured(f"recheckAfter 5 s: {Refusals(cluster, by_http, 5.0).text()}")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_the_times_of_the_documentation_with_the_authorizer(start_cluster, measured, seconds):
    cluster = start_cluster(flags={CACHE: None}, issuer={"cache": {"ttl": "30s"}}, handle={"recheckAfter": f"{seconds:g}s"})
    cluster.kubectl.apply(WRITERS, DEVELOPERS[1])
    by_raw = by_kubectl("get", "--raw", CONFIGMAPS)
    measured(Refusals(cluster, by_raw, seconds, interval=0.5).row("`kubectl get --raw`, one after the other"))
    measured(Refusals(cluster, by_request("exec"), seconds).row("`exec` by HTTP, ten times a second"))


def test_what_is_not_refused_is_a_watch_that_is_open(watchful):
    token = watchful.provider.password("alice")
    client = watchful.client(token)
    watch = client.open(CONFIGMAPS.split("?")[0] + "?watch=true&timeoutSeconds=60")
    assert watch.status == 200
    watchful.provider.revoke(token)
    poll(by_http(watchful, token), RECHECK_SECONDS + SLACK_SECONDS * wait.SLOWNESS)
    watchful.kubectl.as_admin("create", "configmap", "e2e-watched", IN_DEFAULT)
    try:
        while b"e2e-watched" not in (line := watch.readline()):
            assert line, "the watch has ended"
    finally:
        client.close()
        watchful.kubectl.as_admin("delete", "configmap", "e2e-watched", IN_DEFAULT)


def test_whoever_impersonates_is_refused_by_their_own_token(watchful):
    token = watchful.provider.password("alice")
    client = watchful.client(token)
    act = lambda: client.get(CONFIGMAPS, {"Impersonate-User": "corp:bob"})
    first = act()
    assert first.status == 403 and b'cannot list resource' in first.body, "alice may speak for bob, and bob may nothing"
    watchful.provider.revoke(token)
    refused = wait.until(lambda: next((r for r in [act()] if b"cannot impersonate" in r.body), None), "the impersonation is refused")
    assert refused.status == 403 and b"kube-introspect: " in refused.body


def test_a_request_whose_review_is_larger_than_we_read_is_not_let_through(watchful):
    """By failurePolicy: Deny. The user's token is good and RBAC would allow it, so nothing else stops it."""
    path = CONFIGMAPS + "&labelSelector=" + ",".join(["a"] * 100_000)
    assert watchful.client(certificate=watchful.control_plane.certificates.admin).get(path).status == 200
    client = watchful.client(watchful.provider.password("alice"))
    assert client.get(CONFIGMAPS).status == 200
    refused = client.get(path)
    assert refused.status == 500, (refused.status, refused.body[:300])
    client.close()


def test_all_others_go_on_while_our_process_is_stopped(watchful, measured):
    """Service accounts and certificates are never asked about; our users get what failurePolicy says."""
    kubectl = watchful.kubectl
    kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "e2e-other", "namespace": "default"}},
                  {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "e2e-others"},
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "e2e-readers"},
                   "subjects": [{"kind": "ServiceAccount", "name": "e2e-other", "namespace": "default"},
                                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "certificate-user"}]})
    robot = kubectl.as_admin("create", "token", "e2e-other", IN_DEFAULT).strip()
    user = watchful.provider.password("alice")
    others = {"a service account": watchful.client(robot),
              "a certificate": watchful.client(certificate=watchful.control_plane.certificates.user)}
    wait.until(lambda: all(client.get(CONFIGMAPS).status == 200 for client in others.values()), "RBAC knows of them")
    assert watchful.status(user) == 200
    before = {name: worst(client) for name, client in others.items()}
    watchful.webhook.stop()
    try:
        for name, client in others.items():
            measured(f"{name}: the slowest of 50 requests took {worst(client) * 1000:.0f} ms with our process stopped, "
                     f"{before[name] * 1000:.0f} ms before")
        begun = time.monotonic()
        refused = watchful.client(user).get(CONFIGMAPS)
        measured(f"a user of ours got {refused.status} after {(time.monotonic() - begun) * 1000:.0f} ms")
        assert refused.status == 500
    finally:
        watchful.webhook.restart().wait_ready()
    wait.until(lambda: watchful.status(user) == 200, "the user is let through again")


def worst(client):
    """Of 50 requests, none of which may fail: the seconds of the slowest."""
    seconds = []
    for _ in range(50):
        begun = time.monotonic()
        assert client.get(CONFIGMAPS).status == 200
        seconds.append(time.monotonic() - begun)
    return max(seconds)
