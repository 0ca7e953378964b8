"""check, explain, version and --help: what they print and how they end."""

import json
import re
import time

import pytest

from lib import admission, configuration, handle, ports, reply, sentinel
from lib.webhook import Folder, command


@pytest.fixture
def config(run, certificates, provider, request):
    """A function that writes a configuration for the test's provider and gives its path."""
    folder = Folder(run.folder(re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:48]), certificates)

    def write(issuer=None, changes=None, discovery=False):
        issuers = [configuration.issuer(provider, issuer, discovery=discovery)]
        return folder.configure(configuration.webhook(issuers, ports.free(), ports.free(), changes))

    write.folder = folder
    return write


# ---- usage


def test_help_names_every_command_and_option():
    done = command("--help")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("serve", "check", "explain", "render-rbac", "version", "--config", "--online", "--reply", "--audience",
                 "--admission", "--diff", "--help", "/etc/kube-introspect/config.yaml", "Exit status"):
        assert word in done.stdout, f"--help does not say {word}"
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["serve", "check", "explain", "render-rbac", "version"])
def test_each_command_has_help(name):
    assert command(name, "--help").returncode == 0


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version_is_one_line(word):
    done = command(word)
    assert done.returncode == 0 and re.fullmatch(r"kube-introspect \S+\n", done.stdout), done.stdout


@pytest.mark.parametrize("arguments", [
    (), ("nonsense",), ("check", "--nonsense"), ("check", "--config"), ("check", "extra"), ("explain",), ("explain", "--reply"),
    ("explain", "--reply", "x", "--at", "noon")], ids=" ".join)
def test_wrong_use_ends_with_2_and_points_to_help(arguments):
    done = command(*arguments)
    assert done.returncode == 2, f"expected exit status 2, got {done.returncode}"
    assert "--help" in done.stderr and done.stdout == ""


# ---- check


def test_check_of_a_good_configuration_says_so(config):
    path = config()
    done = command("check", "--config", path)
    assert done.returncode == 0, done.stderr
    assert f"{path}: good" in done.stdout and "corp" in done.stdout


def test_check_prints_warnings_with_their_place(config):
    done = command("check", "--config", config({"introspection": {"absentAudience": "Accept"}}))
    assert done.returncode == 0
    assert re.search(r"warning: .*config.yaml:\d+:\d+: issuers\[0\].introspection.absentAudience: ", done.stdout), done.stdout


def test_check_without_warnings_has_none(config):
    done = command("check", "--config", config({"introspection": {"absentTokenType": "Refuse"}}))
    assert "warning: " not in done.stdout, done.stdout


def test_check_of_a_handle_says_what_signs_and_nothing_of_a_key(config):
    path = config(changes={"handle": handle.HANDLE})
    done = command("check", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "handle: the first of 2 keys signs; good for 180 s, asked about again after 300000 ms" in done.stdout
    (path.parent / "secrets" / "handle-key").write_text(handle.LINE + "\n\n")
    done = command("check", "--config", path)
    assert done.returncode == 1 and "handle.keyFile: " in done.stderr and "handle-key:2: the line is empty" in done.stderr
    assert handle.LINE[:12] not in done.stdout + done.stderr


def test_check_asks_nobody(config, provider):
    command("check", "--config", config())
    assert provider.requests == []


def test_check_online_asks_the_provider_about_a_random_token(config, provider):
    done = command("check", "--config", config(), "--online")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "corp" in done.stdout and provider.n_calls() == 1
    assert len(provider.calls()[0].token) >= 32


def test_check_online_takes_the_endpoint_from_discovery(config, provider):
    done = command("check", "--config", config(discovery=True), "--online")
    assert done.returncode == 0, done.stdout + done.stderr
    assert provider.n_discoveries() == 1 and provider.n_calls() == 1


FAULTS = {
    "away": (lambda provider: provider.stop(), "provider_unreachable"),
    "of another CA": (lambda provider: provider.use_certificate(provider.certificates.provider_of_other_ca), "provider_tls"),
    "that rejects our secret": (lambda provider: setattr(provider, "secrets", {"x"}), "client_credentials_rejected"),
    "in trouble": (lambda provider: setattr(provider, "otherwise", reply.error(500)), "provider_error"),
    "that is none": (lambda provider: setattr(provider, "otherwise", reply.error(404)), "provider_misconfigured"),
    "that calls anything active": (lambda provider: setattr(provider, "otherwise", reply.active()), "active"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_check_online_finds_a_provider(config, provider, kind):
    act, word = FAULTS[kind]
    act(provider)
    done = command("check", "--config", config(), "--online")
    assert done.returncode == 1, f"expected exit status 1, got {done.returncode}: {done.stdout}"
    assert word in done.stdout and "corp" in done.stdout, done.stdout
    assert sentinel.SECRET not in done.stdout + done.stderr


def test_check_online_says_that_discovery_fails(config, provider):
    provider.discovery = reply.json(provider.document(issuer="https://evil.example"))
    done = command("check", "--config", config(discovery=True), "--online")
    assert done.returncode == 1 and "discovery" in done.stdout + done.stderr


# ---- explain


def claims(**changes):
    now = int(time.time())
    found = {"active": True, "token_type": "Bearer", "aud": "kubernetes", "client_id": "kubectl", "sub": "u-1",
             "preferred_username": "alice", "groups": ["developers"], "iat": now - 60, "exp": now + 3600}
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def explain(config, value, *arguments, issuer=None, changes=None):
    text = value if isinstance(value, str) else json.dumps(value)
    path = config(issuer, changes)
    given = config.folder.write("reply.json", text)
    return command("explain", "--config", path, "--reply", given, *arguments)


def test_explain_shows_the_identity_rule_by_rule(config):
    done = explain(config, claims())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: allow" in done.stdout and "reason:  ok" in done.stdout
    user = json.loads(re.search(r"^user: +(\{.*\})$", done.stdout, re.M)[1])
    assert user["username"] == "corp:alice" and user["groups"] == ["corp:developers"] and user["uid"] == "u-1"
    assert len(re.findall(r"^  held ", done.stdout, re.M)) >= 5 and "FAILED" not in done.stdout


REFUSALS = {
    "inactive": {"active": False}, "audience_mismatch": claims(aud="account"), "expired": claims(exp=1),
    "token_type_refused": claims(token_type="Refresh"), "token_bound": claims(cnf={"jkt": "x"}),
    "subject_absent": claims(sub=None), "username_absent": claims(preferred_username=None),
    "groups_absent": claims(groups=None), "groups_overage": claims(groups=None, _claim_names={"groups": "src1"}),
}


@pytest.mark.parametrize("word", REFUSALS)
def test_explain_shows_the_rule_that_refuses_and_ends_with_1(config, word):
    done = explain(config, REFUSALS[word])
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"reason:  {word}\n" in done.stdout and "verdict: deny" in done.stdout and "\nuser:" not in done.stdout
    if word not in ("inactive", "expired"):
        assert "FAILED" in done.stdout


@pytest.mark.parametrize("text", [
    "", "x", "[]", '{"active":"true"}', '{"active":true,"active":false}', '{"active":true,"exp":"1"}'], ids=repr)
def test_explain_calls_a_broken_reply_unavailable_and_no_refusal(config, text):
    done = explain(config, text)
    assert done.returncode == 1
    assert "verdict: unavailable" in done.stdout and "provider_reply_invalid" in done.stdout


def test_explain_takes_the_audience_that_a_review_asks_for(config):
    api = {"apiAudiences": ["https://api.example"]}
    good = explain(config, claims(), "--audience", "https://api.example", changes=api)
    assert good.returncode == 0 and "audience: https://api.example" in good.stdout
    bad = explain(config, claims(), "--audience", "https://other.example", changes=api)
    assert bad.returncode == 1 and "audience_not_asked" in bad.stdout


def test_explain_takes_a_time(config):
    value = claims(exp=2_000_000_000, iat=1_000_000_000)
    assert explain(config, value, "--at", "1999999999").returncode == 0
    assert "expired" in explain(config, value, "--at", "2000000000").stdout


def test_explain_reads_standard_input(config):
    done = command("explain", "--config", config(), "--reply", "-", stdin=json.dumps(claims()))
    assert done.returncode == 0 and "verdict: allow" in done.stdout


def test_explain_wants_to_know_which_of_several_issuers(config, provider):
    config()
    both = [configuration.issuer(provider, {"tokens": {"opaquePrefix": f"{name}_", "jwt": False}}, name=name)
            for name in ("one", "two")]
    path = config.folder.configure(configuration.webhook(both, ports.free(), ports.free()))
    given = config.folder.write("reply.json", json.dumps(claims()))
    done = command("explain", "--config", path, "--reply", given)
    assert done.returncode in (1, 2) and "--issuer" in done.stderr
    done = command("explain", "--config", path, "--reply", given, "--issuer", "two")
    assert done.returncode == 0 and "issuer two" in done.stdout


def test_explain_of_a_missing_file_names_it(config):
    done = command("explain", "--config", config(), "--reply", "/no/such/reply.json")
    assert done.returncode == 1 and "/no/such/reply.json" in done.stderr


def test_explain_needs_no_file_but_the_configuration(config):
    """An admin tries a reply on a machine that has neither secrets nor certificates."""
    path = config()
    for name in ("tls/tls.key", "secrets/client-secret", "tls/provider-ca.crt"):
        (config.folder.path / name).unlink()
    given = config.folder.write("reply.json", json.dumps(claims()))
    assert command("explain", "--config", path, "--reply", given).returncode == 0


def test_explain_and_a_login_come_to_the_same_verdict(config, provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for value in [claims(), *REFUSALS.values(), claims(groups=["a", 5]), claims(groups=["system:masters"])]:
        token = provider.knows(sentinel.token(), reply.json(value))
        answer, record = webhook.reason_of(lambda token=token: caller.review(token))
        done = explain(config, value)
        assert f"verdict: {answer.verdict}" in done.stdout, (value, record, done.stdout)
        assert f"reason:  {record['reason']}\n" in done.stdout, (value, record, done.stdout)


# ---- explain --admission

RULES = [{"name": "mfa", "match": {"resources": ["secrets"]}, "requireToken": {"amr": ["mfa"], "maxAge": "15m"}, "action": "Deny",
          "message": "use a second factor"},
         {"name": "other", "match": {"operations": ["DELETE"]}, "requireToken": {"acr": ["gold"]}, "action": "Deny"},
         {"name": "old", "match": {}, "requireToken": {"acr": ["gold"]}, "action": "Warn"}]


def explain_admission(config, value, review, *arguments):
    path = config(changes={"admission": {"rules": RULES}})
    (config.folder.path / "review.json").write_bytes(review)
    given = () if value is None else ("--reply", config.folder.write("reply.json", json.dumps(value)))
    return command("explain", "--config", path, "--admission", config.folder.path / "review.json", *given, *arguments)


def change(username="corp:alice", **more):
    return admission.body({"username": username}, **more)


def test_explain_walks_a_change_through_the_rules(config):
    now = int(time.time())
    done = explain_admission(config, claims(amr=["mfa"], auth_time=now), change(resource="secrets"))
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("request CREATE secrets by corp:alice", "rule mfa holds", "rule other is about other requests",
                 "rule old does not hold (acr): Warn", "verdict: allow"):
        assert line in done.stdout, done.stdout
    done = explain_admission(config, claims(amr=["pwd"], auth_time=now), change(resource="secrets"))
    assert done.returncode == 1 and "rule mfa does not hold (amr): Deny: use a second factor" in done.stdout, done.stdout
    assert "reason:  admission_rule" in done.stdout


def test_explain_without_a_reply_knows_nothing_of_the_token(config):
    done = explain_admission(config, None, change(resource="secrets"))
    assert done.returncode == 1 and "rule mfa does not hold (token_unknown)" in done.stdout, done.stdout + done.stderr


def test_explain_says_when_the_token_itself_ends_the_request(config):
    for value, username, word in ((claims(active=False), "corp:alice", "inactive"), (claims(), "corp:bob", "handle_other_user")):
        done = explain_admission(config, value, change(username))
        assert done.returncode == 1 and f"reason:  {word}" in done.stdout, done.stdout + done.stderr


def test_explain_says_what_is_wrong_with_a_review(config):
    done = explain_admission(config, None, b"{}")
    assert done.returncode == 1 and "kind: AdmissionReview is expected" in done.stderr
