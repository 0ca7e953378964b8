"""The runbooks, the alerts and all else that people read of metrics and commands: what they name is there, and each leads to the other."""

import json
import re
import subprocess
import time

import pytest

from lib import authorizer, catalogue, configuration, handle, paths, reasons, reply, runbooks, sentinel, wait
from lib.admission import LISTENER
from lib.authorizer import login
from lib.webhook import command, environment

RULE = {"name": "seen", "match": {}, "requireToken": {"acr": ["gold"]}, "action": "Audit"}
CHANGES = {"listeners": {"admission": LISTENER}, "handle": handle.HANDLE, "admission": {"rules": [RULE]}}
NAMES = [page.name for page in runbooks.pages()]
ALERTS = runbooks.alerts()


@pytest.fixture(scope="module")
def busy(share):
    """A webhook that has met something of each kind, so that each metric has a row."""
    with share("runbooks", changes=CHANGES) as made:
        provider, webhook = made.provider, made.webhook
        user = login(made.caller, provider.issue())
        webhook.validator().validate(user)
        made.caller.post(authorizer.body_of(user), "/authorize")
        made.caller.post(b"{}")
        replies = [reply.inactive(), reply.error(400, "unsupported_token_type"), reply.plain(200, b"<html>"), reply.error(404, "no")]
        for each in replies:
            made.caller.review(provider.knows(sentinel.token(), each))
        yield made


# ---- docs/metrics.md is what the program prints


def test_the_documented_labels_are_those_that_the_program_prints(busy):
    metrics, known = busy.webhook.metrics(), catalogue.read()
    assert set(metrics.types) == set(known)
    seen = {name: set() for name in known}
    for sample, labels, _ in metrics.samples:
        part = next((part for part in catalogue.PARTS if sample.endswith(part) and sample not in known), "")
        metric = known[sample.removesuffix(part)]
        labels.pop("le", None)
        assert list(labels) == list(metric.labels), f"{sample}: the page lists {list(metric.labels)}, the program prints {list(labels)}"
        trouble = metric.trouble([(label, "=", value) for label, value in labels.items()])
        assert trouble is None, trouble
        seen[metric.name].add(tuple(labels.values()))
    assert [name for name in known if not seen[name]] == [], "nothing was seen of these: count something of each"
    for name, metric in known.items():
        if metric.is_always and metric.closed():
            assert seen[name] == metric.closed(), f"{name} always has a row for each value"


def test_the_documented_outcomes_of_calls_are_those_of_the_source():
    source = (paths.ROOT / "webhook" / "ops" / "metrics.c").read_text()
    words = re.findall(r'\[CALL_\w+\] = "(\w+)"', source)
    assert len(words) > 5 and catalogue.outcomes() == set(words)


# ---- what is said of metrics


@pytest.mark.parametrize("path", runbooks.documents(), ids=lambda path: str(path.relative_to(paths.ROOT)))
def test_every_metric_and_label_that_is_named_exists(path):
    assert catalogue.References(path.read_text()).wrong == []


def test_the_series_of_the_alerts_scenes_exist():
    references = catalogue.References(runbooks.scenes())
    assert references.wrong == [] and references.n > 100


def test_references_are_found_where_there_are_some():
    counted = {path.name: catalogue.References(path.read_text()).n for path in runbooks.documents()}
    assert counted["metrics.md"] > 40 and counted["prometheusrule.yaml"] > 50
    assert [name for name in NAMES if counted[name] == 0] == []


@pytest.mark.parametrize("text", (
    "kube_introspect_review_total", 'kube_introspect_reviews_total{verdict="no"}', 'kube_introspect_reviews_total{reason="odd"}',
    'kube_introspect_reviews_total{outcome="active"}', 'kube_introspect_reviews_total{verdict="deny",reason="provider_tls"}',
    'kube_introspect_introspection_calls_total{outcome=~"tls\\|tsl"}', 'kube_introspect_introspection_calls_total{outcome=~"time.*|.*at"}',
    "kube_introspect_reviews_total_bucket", "kube_introspect_odd_", 'kube_introspect_reviews_total{verdict=deny}', '`result="mad"`',
    '...{verdict="unavailible"}'))
def test_what_does_not_exist_is_found(text):
    assert len(catalogue.References(f"| see `{text}` |").wrong) == 1


@pytest.mark.parametrize("text", (
    "kube_introspect_review_duration_seconds_bucket{le=\"1\"}", 'kube_introspect_reviews_total{verdict="unavailable"}', "process_open_fds",
    'kube_introspect_introspection_calls_total{issuer="any", outcome=~"tls\\|time.*"}', "kube_introspect_audit_", '`result="made"`'))
def test_what_exists_is_not_found_fault_with(text):
    references = catalogue.References(f"| see `{text}` |")
    assert references.wrong == [] and references.n == 1


@pytest.mark.parametrize("name", ["README.md", *NAMES])
def test_what_a_runbook_greps_out_of_the_metrics_is_there(name):
    page = catalogue.full_page()
    for line in runbooks.commands((runbooks.FOLDER / name).read_text()):
        for pattern in re.findall(r"^ops /metrics \|\s*grep (?:-E )?'([^']+)'", line):
            for each in catalogue.alternatives(pattern):
                assert any(re.search(each, row) for row in page), f"{name}: {each!r} finds nothing (of {pattern!r})"


def test_alternatives_are_taken_apart():
    assert catalogue.alternatives("^a_(b|c_(d|e))[ {]") == ["^a_b[ {]", "^a_c_d[ {]", "^a_c_e[ {]"]
    assert catalogue.alternatives("^(a|b)$|c") == ["^a$", "^b$", "c"]


# ---- from the reason to the page


def reasons_to_pages():
    table = runbooks.INDEX.read_text().split("| reason | page |", 1)[1].split("\n\n", 1)[0]
    return {word: runbooks.links(cell) for word, cell in re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.M)}


def test_every_reason_that_nobody_can_say_has_a_page():
    table = reasons_to_pages()
    assert set(table) <= set(reasons.read())
    unavailable = {word for word, (verdict, _) in reasons.read().items() if verdict == "unavailable"}
    assert len(unavailable) > 10 and unavailable - set(table) == set()


@pytest.mark.parametrize("word", reasons_to_pages())
def test_the_page_of_a_reason_speaks_of_it(word):
    linked = reasons_to_pages()[word]
    assert linked
    for name in linked:
        assert f"`{word}`" in (runbooks.FOLDER / name).read_text(), f"{name} does not name {word}"


def test_the_page_for_who_does_not_know_leads_on_from_each_of_them():
    text = (runbooks.FOLDER / "logins-fail.md").read_text()
    missing = [word for word, (verdict, _) in reasons.read().items() if verdict == "unavailable" and f"`{word}`" not in text]
    assert missing == []


# ---- from the alert to the page, and back


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_a_page_that_names_it_and_its_metrics(alert):
    rule = ALERTS[alert]
    page = paths.ROOT / rule["annotations"]["runbook_url"]
    assert page.parent == runbooks.FOLDER and page.name in NAMES
    assert re.search(rf"\b{alert}\b", page.read_text()), f"{page.name} does not name {alert}"
    measured, named = (catalogue.References(text).names for text in (rule["expr"], page.read_text()))
    assert measured and measured & named, f"{page.name} names none of {measured}"
    row = next(line for line in runbooks.INDEX.read_text().splitlines() if re.search(rf"\b{alert}\b", line))
    assert f"({page.name})" in row, f"the index has {alert} at another page"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_its_parts_and_names_an_alert(name):
    text = (runbooks.FOLDER / name).read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == runbooks.SECTIONS
    first = text.split("\n\n")[1]
    assert first.startswith("**Going on:**") and "**Locked out:**" in first, "the first lines say what is going on, and who is locked out"
    named = set(re.findall(r"\bKubeIntrospect\w+", text))
    assert named and named <= set(ALERTS), f"there is no {named - set(ALERTS)}"
    assert f"({name})" in runbooks.INDEX.read_text()
    assert len(text.splitlines()) <= 75, "one page: it is three in the morning"


def test_no_document_names_an_alert_that_does_not_exist():
    named = {word for path in runbooks.documents() for word in re.findall(r"\bKubeIntrospect[A-Z]\w+", path.read_text())}
    assert named <= set(ALERTS), named - set(ALERTS)


@pytest.mark.parametrize("path", [*runbooks.pages(), runbooks.INDEX], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        file, _, part = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_file(), f"{path.name}: {link}"
        headings = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
                    for heading in re.findall(r"^#+ (.*)$", target.read_text(), re.M)}
        assert not part or part in headings, f"{path.name}: {link} has no such heading"


def test_other_documents_link_to_the_runbooks():
    for name in ("README.md", "docs/metrics.md", "docs/reasons.md", "docs/deployment.md"):
        assert "runbooks/README.md" in (paths.ROOT / name).read_text(), name


# ---- commands


@pytest.fixture(scope="module")
def usage():
    """Command -> its options."""
    text = command("--help").stdout
    parts = re.split(r"^(\w[\w -]*):\n", text, flags=re.M)
    shared = set(re.findall(r"--[a-z]+", parts[parts.index("Options of all commands") + 1]))
    found = {name: set(shared) for name in re.findall(r"^  kube-introspect (\S+) ", parts[0], re.M)}
    for name, part in zip(parts[1::2], parts[2::2]):
        if name in found:
            found[name] |= set(re.findall(r"^  (--[a-z]+)", part, re.M))
    assert {"serve", "check", "explain", "render-rbac", "version"} <= set(found) and "--online" in found["check"]
    return found


@pytest.mark.parametrize("path", runbooks.documents()[:-1], ids=lambda path: str(path.relative_to(paths.ROOT)))
def test_every_option_that_is_named_exists(usage, path):
    text = path.read_text()
    words = "|".join(usage)
    used = re.findall(rf"(?:kube-introspect|\bki|`) ?({words})\b((?: (?!\|)[^\s|`]+)*)", text)
    for name, arguments in used:
        unknown = set(re.findall(r"(?<!\S)--[a-z-]+", arguments)) - usage[name]
        assert not unknown, f"kube-introspect {name} has no {unknown}"
    for name in re.findall(r"^ +\$ ki (\S+)", text, re.M):
        assert name in usage, f"there is no command {name}"


def test_options_are_found_where_there_are_some(usage):
    with pytest.raises(AssertionError, match="--onlin"):
        test_every_option_that_is_named_exists(usage, Text("`kube-introspect check --config a --onlin`"))
    with pytest.raises(AssertionError, match="--reply"):
        test_every_option_that_is_named_exists(usage, Text("    $ ki check --reply - <reply.json"))
    with pytest.raises(AssertionError, match="no command"):
        test_every_option_that_is_named_exists(usage, Text("    $ ki chek"))


class Text:
    def __init__(self, text):
        self.text = text

    def read_text(self):
        return self.text


@pytest.mark.parametrize("name", ["README.md", *NAMES])
def test_what_a_runbook_asks_of_the_webhook_can_be_asked(busy, name):
    """Its commands are run, by the four words that its reader has: each is understood by what it is made of, whether it finds something or not."""
    folder = busy.webhook.folder.path
    (folder / "reply.json").write_text(json.dumps({"active": True, "exp": int(time.time()) + 60}))
    words = f"""ops() {{ curl -sS "http://127.0.0.1:{busy.webhook.operations_port}$1"; echo; }}
log() {{ cat webhook.log; }}
audit() {{ cat audit/audit.jsonl; }}
ki() {{ '{paths.BINARY}' "$@" --config config.yaml; }}
"""
    asked = [each for each in runbooks.commands((runbooks.FOLDER / name).read_text()) if re.match(r"(ops|log|audit|ki)\b", each)]
    assert asked, f"{name} asks nothing"
    for each in asked:
        done = subprocess.run(["bash", "-c", f"{words}set -o pipefail\n{each}"], cwd=folder, capture_output=True, text=True,
                              env=environment(), timeout=20 * wait.SLOWNESS)
        assert done.returncode in (0, 1), f"{name}: {each}: {done.stderr}"
        assert each.startswith("ki ") or done.stderr == "", f"{name}: {each}: {done.stderr}"
        if each.startswith("ops '/") or each.startswith("ops /metrics"):
            path = re.match(r"ops '?([^' ]+)'?", each)[1]
            assert busy.webhook.operations(path)[0] == 200, path


def test_each_layout_has_the_four_words_and_no_page_uses_others():
    blocks = re.findall(r"^```sh\n(.*?)^```", runbooks.INDEX.read_text(), re.M | re.S)
    layouts = [block for block in blocks if "ops()" in block]
    assert len(layouts) == 3
    for block in layouts:
        assert [word for word in re.findall(r"^(\w+)\(\)", block, re.M) if word != "pods"] == ["ops", "log", "audit", "ki"]
        assert subprocess.run(["bash", "-n", "-c", block], capture_output=True).returncode == 0


# ---- fields of the configuration


def test_every_field_of_the_configuration_that_a_runbook_names_exists():
    documented = {line.replace("[]", "") for line in
                  re.findall(r"^\| `([\w.\[\]]+)` \|", (paths.ROOT / "docs" / "configuration.md").read_text(), re.M)}
    assert len(documented) > 50
    named = {(page.name, word) for page in runbooks.pages()
             for word in re.findall(r"`([a-z]\w*(?:\.[a-z]\w*)+)(?:: [^`]*)?`", page.read_text())}
    fields = {(page, word) for page, word in named
              if not re.search(r"\.(md|yaml|json|jsonl|crt|key|conf|service)$", word)}
    assert len(fields) > 20
    assert sorted((page, word) for page, word in fields if not any(f".{field}".endswith(f".{word}") for field in documented)) == []
