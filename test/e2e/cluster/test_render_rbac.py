"""The bindings of a group mapping: rendered, applied by the real kubectl, compared with what the API server has then."""

import pytest
import yaml

from cluster import Cluster
from lib import configuration, wait
from lib.webhook import command

READERS = "e2e-readers"  # may read config maps
HOSTILE = ['a "quoted" one', "it's: #no comment", "- yes", "{{ template }}", "back\\slash", "über/ops", "\u202eevil", "~", "0x1F"]
RULES = [
    {"group": "platform-admins", "to": ["admins"],
     "bind": [{"clusterRole": READERS}, {"role": "secret:readers", "namespace": "team-a"}]},
    {"group": "viewers", "to": ["readers", "guests"], "bind": [{"clusterRole": READERS, "namespace": "team-a"}]},
    {"group": "developers", "to": ["developers"]},  # the cluster fixture binds them
]
BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READERS}}


def mapping(rules, unmapped="Drop"):
    return {"groupMapping": {"unmapped": unmapped, "rules": rules}}


@pytest.fixture(scope="module")
def mapped(folder, programs, etcd, certificates, cluster_certificates, provider):
    """A cluster whose webhook maps by RULES, with the roles and the namespace that they name; nothing is rendered yet."""
    made = Cluster(folder / "render-rbac", programs, etcd, certificates, cluster_certificates, provider, issuer=mapping(RULES))
    made.kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
         "metadata": {"name": "secret:readers", "namespace": "team-a"},
         "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]})
    yield made
    made.stop()


def config_of(cluster, rules=None, unmapped="Drop"):
    """The webhook's configuration, or one like it with other rules."""
    if rules is None:
        return cluster.webhook.folder.config
    document = yaml.safe_load(cluster.webhook.folder.config.read_text())
    document["issuers"][0].update(mapping(rules, unmapped))
    return cluster.webhook.folder.write("other.yaml", configuration.text(document))


def render(cluster, rules=None):
    done = command("render-rbac", "--config", config_of(cluster, rules))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def apply(cluster, rules=None):
    return cluster.kubectl.as_admin("apply", "--filename=-", stdin=render(cluster, rules))


def diff(cluster, rules=None, unmapped="Drop"):
    """(exit status, lines) of the comparison with what the API server has now."""
    live = cluster.kubectl.as_admin("get", "clusterrolebindings,rolebindings", "--all-namespaces", "--output=json")
    done = command("render-rbac", "--config", config_of(cluster, rules, unmapped), "--diff", "-", stdin=live)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def applied(mapped):
    apply(mapped)
    return mapped


@pytest.fixture
def bind(mapped):
    """A function that binds subjects by hand, for one test."""
    names = []

    def make(name, *groups):
        names.append(name)
        mapped.kubectl.apply({**BINDING, "metadata": {"name": name}, "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group} for group in groups]})

    yield make
    for name in names:
        mapped.kubectl.as_admin("delete", "clusterrolebinding", name)


def test_before_anything_is_applied_all_is_missing(mapped):
    status, lines = diff(mapped)
    assert status == 1 and lines[-1] == "6 differences"
    assert [line.split(":")[0] for line in lines[:-1]] == 3 * ["missing"] + 3 * ["not bound"]


def test_kubectl_applies_what_is_rendered_and_then_nothing_is_different(mapped):
    assert apply(mapped).count(" created\n") == 3
    assert diff(mapped) == (0, ["no difference: all bindings of the rules are there (3)"])
    assert apply(mapped).count(" unchanged\n") == 3


def test_users_of_a_mapped_group_can_do_what_its_role_says_and_no_more(applied):
    def may(user, *what):
        done = applied.kubectl.run("auth", "can-i", *what, token=applied.provider.password(user))
        assert done.stdout.strip() in ("yes", "no"), done.stderr
        return done.stdout.strip() == "yes"

    assert may("carol", "list", "configmaps", "--all-namespaces") and may("carol", "list", "secrets", "--namespace=team-a")
    assert not may("carol", "list", "secrets", "--namespace=default")
    assert may("bob", "list", "configmaps", "--namespace=team-a")
    assert not may("bob", "list", "configmaps", "--namespace=default") and not may("bob", "list", "secrets", "--namespace=team-a")
    applied.kubectl.must("get", "secrets", "--namespace=team-a", token=applied.provider.password("carol"))


def test_a_bound_group_that_no_mapping_leads_to_is_found(applied, bind):
    bind("by-hand", "corp:retired", "corp:platform-admins", "corp:admins", "others:retired", "system:masters")
    status, lines = diff(applied)
    assert status == 1 and lines == [
        'not mapped: group "corp:platform-admins": bound by ClusterRoleBinding "by-hand"',
        'not mapped: group "corp:retired": bound by ClusterRoleBinding "by-hand"', "2 differences"]


def test_with_unmapped_kept_a_bound_group_without_a_rule_may_be_the_providers_own(applied, bind):
    bind("by-hand", "corp:retired", "corp:platform-admins")
    status, lines = diff(applied, RULES, "Keep")
    assert status == 1 and lines[0].startswith('not mapped: group "corp:platform-admins": ') and lines[-1] == "1 difference"
    assert lines[1] == 'perhaps mapped, as unmapped is Keep: group "corp:retired": bound by ClusterRoleBinding "by-hand"'
    assert lines[2].startswith('note: issuer corp has unmapped: Keep, so groups that begin with "corp:"')


def test_a_mapped_group_that_is_bound_nowhere_is_found(applied):
    status, lines = diff(applied, [*RULES, {"group": "sales", "to": ["sellers"]}])
    assert (status, lines) == (1, ['not bound: group "corp:sellers", which comes of issuers[0].groupMapping.rules[3]',
                                   "1 difference"])


def test_a_binding_that_somebody_changed_is_found_and_applying_heals_it(applied):
    documents = list(yaml.safe_load_all(render(applied)))
    documents[0]["subjects"] = [{**documents[0]["subjects"][0], "name": "corp:developers"}]
    applied.kubectl.apply(documents[0])
    status, lines = diff(applied)
    name = documents[0]["metadata"]["name"]
    assert status == 1 and lines[0] == (f'changed: ClusterRoleBinding "{name}": it lacks "corp:admins"; it should not have '
                                        '"corp:developers"; see issuers[0].groupMapping.rules[0]'), lines
    apply(applied)
    assert diff(applied)[0] == 0


def test_the_binding_of_a_rule_that_is_gone_is_left_over_until_it_is_deleted(applied):
    rules = [RULES[0], {**RULES[1], "bind": [{"clusterRole": READERS}]}, RULES[2]]
    apply(applied, rules)  # another role is another binding, which kubectl can apply
    status, lines = diff(applied)
    assert status == 1 and lines[-1] == "1 difference", lines
    assert lines[0].startswith('left over: ClusterRoleBinding "kube-introspect:corp:viewers:e2e-readers:')
    applied.kubectl.as_admin("delete", "clusterrolebinding", lines[0].split('"')[1])
    assert diff(applied)[0] == 0


def test_a_role_that_is_not_there_gives_nothing_until_it_is(applied):
    rules = [*RULES, {"group": "platform-admins-2", "to": ["readers"], "bind": [{"clusterRole": "e2e-not-there"}]}]
    token = applied.provider.password("bob")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-not-there"},
            "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]}
    apply(applied, rules)
    try:
        assert "Forbidden" in applied.kubectl.run("get", "services", token=token).stderr
        applied.kubectl.apply(role)
        wait.until(lambda: applied.kubectl.run("get", "services", token=token).returncode == 0, "the role to be seen")
    finally:
        applied.kubectl.as_admin("delete", "--ignore-not-found", "clusterrole", "e2e-not-there")
        name = diff(applied)[1][0].split('"')[1]
        applied.kubectl.as_admin("delete", "clusterrolebinding", name)


def test_groups_of_any_name_arrive_at_the_api_server_as_they_are_written(applied):
    rules = [{"group": name, "to": [name], "bind": [{"clusterRole": READERS}]} for name in HOSTILE]
    try:
        assert apply(applied, rules).count(" created\n") == len(HOSTILE)
        status, lines = diff(applied, [*RULES, *rules])
        assert status == 0, lines
    finally:
        applied.kubectl.as_admin("delete", "--filename=-", stdin=render(applied, rules))
