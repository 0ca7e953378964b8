"""render-rbac: the bindings of a group mapping, and how a cluster's differ from them."""

import json
import re
import subprocess

import pytest
import yaml

from lib import configuration, paths, ports
from lib.webhook import Folder, command

GROUP = "rbac.authorization.k8s.io"
# Names that YAML, JSON, a terminal or a reader could take for something else.
HOSTILE = [
    "a: b", "- a", "# a", "a # b", "{a}", "[a", "&a", "*a", "!a", "|", ">", "@a", "`a", "%a", "'a'", '"a"', 'a"b', "a\\b", "\\n", "\\u0041",
    "yes", "null", "~", "1", "1e3", "0x1f", "2026-01-01", "---", "...", "? a", " a", "a ", "über", "汉字", "😀",
    "a\u00a0b", "a\u2028b", "a\u2029b", "\u202eb", "\ufeffa", "\u200b", "a\ufffeb", "\U000e0041", "{{ .Values.x }}", "$(id)", "x" * 250,
]
RULES = [
    {"group": "platform-admins", "to": ["admins", "on-call"],
     "bind": [{"clusterRole": "cluster-admin"}, {"role": "deployer", "namespace": "team-a"}]},
    {"group": "developers", "to": ["developers"], "bind": [{"clusterRole": "edit", "namespace": "team-a"}]},
    {"group": "guests", "to": ["guests"]},
]


@pytest.fixture
def config(run, certificates, provider, request):
    """A function that writes a configuration with these rules and gives its path."""
    folder = Folder(run.folder(re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:48]), certificates)

    def write(rules=RULES, unmapped="Drop", **more):
        issuer = configuration.issuer(provider, {"groupMapping": {"unmapped": unmapped, "rules": rules}, **more})
        return folder.configure(configuration.webhook([issuer], ports.free(), ports.free()))

    write.folder = folder
    return write


def render(path):
    done = command("render-rbac", "--config", path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return list(yaml.safe_load_all(done.stdout))


def binding(name, groups, namespace=None, role="view", **metadata):
    """One as kubectl prints it."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": name, "uid": "u", **({"namespace": namespace} if namespace else {}), **metadata},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups]}


# Every cluster has these, and more.
BUILT_IN = [binding("cluster-admin", ["system:masters"], role="cluster-admin"),
            binding("system:controller", ["system:x"], namespace="kube-system")]


def diff(path, live, **more):
    text = live if isinstance(live, str) else json.dumps({"apiVersion": "v1", "kind": "List", "items": [*BUILT_IN, *live]})
    return command("render-rbac", "--config", path, "--diff", "-", stdin=text, **more)


# ---- rendering


def test_each_role_of_a_rule_becomes_a_binding_of_its_groups(config):
    admins, deployers, editors = render(config())
    assert re.fullmatch(r"kube-introspect:corp:platform-admins:cluster-admin:[0-9a-f]{12}", admins["metadata"].pop("name"))
    assert admins == {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "kube-introspect"},
                     "annotations": {"kube-introspect.io/rule": "issuers[0].groupMapping.rules[0]",
                                     "kube-introspect.io/issuer": "corp", "kube-introspect.io/group": "platform-admins"}},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": name} for name in ("corp:admins", "corp:on-call")]}
    for each, kind in ((deployers, "Role"), (editors, "ClusterRole")):
        assert (each["kind"], each["metadata"]["namespace"], each["roleRef"]["kind"]) == ("RoleBinding", "team-a", kind)
    assert editors["metadata"]["annotations"]["kube-introspect.io/rule"] == "issuers[0].groupMapping.rules[1]"


def test_rendering_twice_gives_the_same_bytes(config):
    path = config()
    assert command("render-rbac", "--config", path).stdout == command("render-rbac", "--config", path).stdout


def test_all_issuers_are_rendered(config, provider):
    config()
    issuers = [
        configuration.issuer(provider, {"groupMapping": {"rules": [RULES[1]]}, "tokens": {"jwt": False, "opaquePrefix": f"{name}_"},
                                        "claimMappings": {"groups": {"prefix": f"{name}:"}}}, name=name)
        for name in ("one", "two")]
    found = render(config.folder.configure(configuration.webhook(issuers, ports.free(), ports.free())))
    assert [each["subjects"][0]["name"] for each in found] == ["one:developers", "two:developers"]
    assert found[1]["metadata"]["annotations"]["kube-introspect.io/rule"] == "issuers[1].groupMapping.rules[0]"
    assert len({each["metadata"]["name"] for each in found}) == 2


def test_hostile_names_are_read_back_as_they_were_written(config):
    rules = [{"group": name, "to": [name], "bind": [{"clusterRole": "view"}]} for name in HOSTILE]
    found = render(config(rules))
    assert [each["subjects"][0]["name"] for each in found] == ["corp:" + name for name in HOSTILE]
    assert [each["metadata"]["annotations"]["kube-introspect.io/group"] for each in found] == HOSTILE
    names = [each["metadata"]["name"] for each in found]
    assert len(set(names)) == len(HOSTILE) and all(re.fullmatch(r"[a-z0-9:.-]{1,253}", name) for name in names)
    assert diff(config(rules), found).stdout.startswith("no difference")


def test_what_is_rendered_has_no_hidden_character(config):
    rules = [{"group": name, "to": [name], "bind": [{"clusterRole": "view"}]} for name in HOSTILE]
    shown = command("render-rbac", "--config", config(rules)).stdout
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\U000e0041]", shown)


def test_a_mapping_without_roles_says_that_there_is_nothing(config):
    done = command("render-rbac", "--config", config([RULES[2]]))
    assert done.returncode == 0 and done.stdout == "" and "no rule of a groupMapping has bind" in done.stderr


def test_no_secret_and_no_certificate_is_needed(config):
    path = config()
    for name in ("tls/tls.key", "secrets/client-secret", "tls/provider-ca.crt"):
        (config.folder.path / name).unlink()
    assert len(render(path)) == 3


def test_a_bad_configuration_is_named_and_nothing_is_printed(config):
    done = command("render-rbac", "--config", config([{"group": "a", "to": ["b"], "bind": [{"role": "x"}]}]))
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"config.yaml:\d+:\d+: issuers\[0\].groupMapping.rules\[0\].bind\[0\]: a role belongs", done.stderr)


@pytest.mark.parametrize("to, prefix", [("system:masters", ""), ("ystem:masters", "s")])
def test_no_group_of_kubernetes_can_be_bound(config, to, prefix):
    rules = [{"group": "a", "to": [to], "bind": [{"clusterRole": "view"}]}]
    done = command("render-rbac", "--config", config(rules, claimMappings={"groups": {"prefix": prefix}}))
    assert done.returncode == 1 and done.stdout == "" and '"system:"' in done.stderr


def test_check_warns_of_cluster_admin_and_of_names_that_the_provider_may_give_itself(config):
    kept = command("check", "--config", config(unmapped="Keep")).stdout
    assert re.search(r"warning: .*:\d+:\d+: issuers\[0\].groupMapping.rules\[0\].to\[0\]: unmapped is Keep", kept), kept
    assert re.search(r"warning: .*:\d+:\d+: issuers\[0\].groupMapping.rules\[0\].bind\[0\].clusterRole: this role may", kept), kept
    assert "unmapped is Keep" not in command("check", "--config", config()).stdout


def test_a_full_disk_is_an_error(config):
    path = config()
    with open("/dev/full", "w") as full:
        done = subprocess.run([paths.BINARY, "render-rbac", "--config", path], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.startswith("standard output: ")


# ---- --diff


def test_a_cluster_with_all_that_is_rendered_has_no_difference(config):
    path = config()
    done = diff(path, [*render(path), binding("by-hand", ["corp:guests", "other:x"])])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "no difference: all bindings of the rules are there (3)\n"


def test_each_kind_of_difference_has_a_line_that_begins_with_its_word(config):
    path = config()
    admins, deployers, editors = render(path)
    deployers["roleRef"] = {**deployers["roleRef"], "name": "other"}
    deployers["subjects"] += [{"kind": "Group", "name": "corp:guests"}, {"kind": "User", "name": "corp:eve"}]
    left_over = binding("kube-introspect:corp:old:view:0", ["corp:admins"], **{
        **{name: admins["metadata"][name] for name in ("labels", "annotations")}})
    done = diff(path, [admins, deployers, left_over, binding("by-hand", ["corp:retired"], namespace="team-b")])
    assert done.returncode == 1 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines == [
        f'missing: RoleBinding "{editors["metadata"]["name"]}" in namespace "team-a": ClusterRole "edit" for "corp:developers", '
        "by issuers[0].groupMapping.rules[1]",
        f'changed: RoleBinding "{deployers["metadata"]["name"]}" in namespace "team-a": it gives Role "other" and not Role '
        '"deployer", so delete it first; it should not have "corp:guests"; it should not have its users and service accounts (1); '
        "see issuers[0].groupMapping.rules[0]",
        'left over: ClusterRoleBinding "kube-introspect:corp:old:view:0": ClusterRole "view" was bound for the provider\'s group '
        '"platform-admins" of issuer "corp", and no rule says so now',
        'not mapped: group "corp:retired": bound by RoleBinding "by-hand" in namespace "team-b"',
        'not bound: group "corp:developers", which comes of issuers[0].groupMapping.rules[1]',
        "5 differences"]


def test_with_unmapped_kept_it_says_what_cannot_be_known(config):
    path = config(unmapped="Keep")
    done = diff(path, [*render(path), binding("by-hand", ["corp:guests", "corp:any"])])
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        'perhaps mapped, as unmapped is Keep: group "corp:any": bound by ClusterRoleBinding "by-hand"',
        'note: issuer corp has unmapped: Keep, so groups that begin with "corp:" are called not mapped only where a rule says '
        "otherwise",
        "no difference: all bindings of the rules are there (3)"]


def test_hostile_names_of_the_cluster_stay_on_their_line_and_are_cut(config):
    path = config()
    names = ["corp:a\nno difference: all", "corp:\x1b[2J\x07", "corp:\u202eb", "corp:" + 600 * "x"]
    done = diff(path, [*render(path), binding("by\nhand", ["corp:guests", *names])])
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and len(lines) == 5 and lines[-1] == "4 differences", lines
    assert all(line.startswith('not mapped: group "corp:') and '"by\\u000ahand"' in line for line in lines[:-1])
    assert re.fullmatch("[ -~\n]*", done.stdout) and "x" * 507 + '"...' in done.stdout and "x" * 508 not in done.stdout


def test_a_group_with_many_bindings_names_some_and_counts_the_rest(config):
    path = config()
    done = diff(path, [*render(path), *(binding(f"b{number:02}", ["corp:retired", "corp:guests"]) for number in range(20))])
    line = done.stdout.splitlines()[0]
    assert line.count("ClusterRoleBinding") == 8 and line.endswith('"b07" and 12 more')


def test_a_file_can_be_compared_too(config):
    path = config()
    live = [*BUILT_IN, *render(path), binding("x", ["corp:guests"])]
    given = config.folder.write("live.json", json.dumps({"kind": "List", "items": live}))
    assert command("render-rbac", "--config", path, "--diff", given).returncode == 0


@pytest.mark.parametrize("items, kind", [
    ([], "ClusterRoleBinding"), (BUILT_IN[:1], "RoleBinding"), (BUILT_IN[1:], "ClusterRoleBinding")], ids=["none", "cluster", "namespaced"])
def test_a_list_of_one_kind_only_is_compared_with_a_warning(config, items, kind):
    done = diff(config([RULES[2]]), json.dumps({"kind": "List", "items": items}))
    assert done.returncode == 1 and f"warning: the list has no {kind} at all" in done.stderr


@pytest.mark.parametrize("text, place", [
    ("", "standard input: this is no JSON object"), ('{\n"kind": "List",\n"items": [', "standard input:3: this is no JSON"),
    ("[" * 100, "standard input: this is no JSON object, or nested deeper than 64"),
    ('{"kind":"PodList","items":[]}', "standard input: this is no list of bindings"),
    ('{"kind":"List","items":[{"kind":"Pod"}]}', "standard input: items[0].kind: "),
    ("apiVersion: v1\nkind: List\nitems: []\n", "standard input:1: this is no JSON"),
], ids=range(6))
def test_what_cannot_be_compared_ends_with_2_and_names_the_place(config, text, place):
    done = diff(config(), text)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith(place), done.stderr


def test_a_list_that_is_too_large_ends_with_2(config):
    huge = config.folder.path / "huge.json"
    with open(huge, "w") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    done = command("render-rbac", "--config", config(), "--diff", huge)
    assert done.returncode == 2 and done.stderr == f"{huge}: larger than the limit of 67108864 bytes\n"


def test_a_bad_configuration_or_a_missing_file_ends_with_2_when_comparing(config):
    bad = config([{"group": "a", "to": ["b"], "bind": []}])
    assert command("render-rbac", "--config", bad, "--diff", "-", stdin="").returncode == 2
    done = command("render-rbac", "--config", config(), "--diff", "/no/such/file")
    assert done.returncode == 2 and done.stderr.startswith("/no/such/file: ")


def test_diff_needs_a_file(config):
    assert command("render-rbac", "--config", config(), "--diff").returncode == 2
