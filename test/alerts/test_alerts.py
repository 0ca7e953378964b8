"""The alerts of manifests/components/alerts: what fires in which outage (scenes.py), by promtool. Each alert is seen firing and not, and each
scene is seen to notice when an alert is made deaf, touchy or hasty."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scenes import SCENES

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "KubeIntrospect"
IS_THERE = 'kube_introspect_build_info{version="1",instance="a"} 1x400'


def run(*command, **more):
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, **more)


@pytest.fixture(scope="session")
def promtool():
    done = run(ROOT / "hack" / "promtool.sh")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def read_rules(*arguments):
    done = run(ROOT / "hack" / "alert-rules.sh", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


RULES = yaml.safe_load(read_rules())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


# ---- scenes, as promtool reads them


def of_instance(series):
    """SERIES VALUES with instance="a" where none is given."""
    name, values = series.split(" ", 1)
    if "instance=" not in name:
        name = name.replace("{", '{instance="a",', 1) if "{" in name else name + '{instance="a"}'
    return {"series": name, "values": values}


def labels_of(name):
    """NAME or NAME@INSTANCE: what the alert's sample has."""
    name, _, instance = name.partition("@")
    alert = PREFIX + name
    where = "" if name == "Down" else f',instance="{instance or "a"}"'
    return f'{{alertname="{alert}",severity="{ALERTS[alert]["labels"]["severity"]}"{where}}}'


def promtool_test_of(scene):
    present = [] if any("nothing" in each or "build_info" in each and 'instance="b"' not in each for each in scene.series) else [IS_THERE]
    return {"name": scene.name, "interval": "30s", "input_series": [of_instance(each) for each in (*scene.series, *present)],
            "promql_expr_test": [
                {"expr": f'count by (alertname, severity, instance) (ALERTS{{alertstate="firing"}}) # {scene.name}', "eval_time": time,
                 "exp_samples": [{"labels": labels_of(name), "value": 1} for name in names]}
                for time, names in scene.fires.items()]}


def promtool_tests(promtool, folder, rules, tests):
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests}))
    return run(promtool, "test", "rules", "tests.yaml", cwd=folder)


# ---- the rules as they are


def test_the_rules_file_is_one_for_prometheus_and_is_what_the_operator_gets(promtool, tmp_path):
    (tmp_path / "rules.yaml").write_text(read_rules())
    done = run(promtool, "check", "rules", "--lint-fatal", tmp_path / "rules.yaml")
    assert done.returncode == 0 and f"SUCCESS: {len(ALERTS)} rules found" in done.stdout, done.stdout + done.stderr
    resource = yaml.safe_load((ROOT / "manifests" / "components" / "alerts" / "prometheusrule.yaml").read_text())
    assert resource["kind"] == "PrometheusRule" and resource["spec"] == RULES


def test_the_address_of_the_repository_is_put_before_the_runbooks():
    url = "https://git.example.com/a&b/"
    rules = yaml.safe_load(read_rules(url))
    found = [rule["annotations"].pop("runbook_url") for group in rules["groups"] for rule in group["rules"]]
    assert found == [url + rule["annotations"]["runbook_url"] for rule in ALERTS.values()]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(alert):
    rule = ALERTS[alert]
    assert alert.startswith(PREFIX) and rule["for"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".") and "\n" not in rule["annotations"]["summary"]
    assert (ROOT / rule["annotations"]["runbook_url"]).is_file()


@pytest.mark.parametrize("part", SCENES)
def test_what_fires_in_the_scenes_of(promtool, tmp_path, part):
    done = promtool_tests(promtool, tmp_path, RULES, [promtool_test_of(scene) for scene in SCENES[part]])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_people_read_has_figures_in_it(promtool, tmp_path):
    """Templates are expanded when an alert fires, and only then found to be wrong."""
    series = ["kube_introspect_audit_queue_bytes 2097152x60", IS_THERE]
    expected = {"exp_labels": {"severity": "warning", "instance": "a"},
                "exp_annotations": {"summary": "The audit log's disk does not keep up at a.",
                                    "description": "2MiB of records wait; at 16 MiB logins are refused, or records lost.",
                                    "runbook_url": "docs/runbooks/audit-unwritable.md"}}
    test = {"interval": "30s", "input_series": [of_instance(each) for each in series],
            "alert_rule_test": [{"eval_time": "5m", "alertname": PREFIX + "AuditDiskSlow", "exp_alerts": [expected]}]}
    done = promtool_tests(promtool, tmp_path, RULES, [test])
    assert done.returncode == 0, done.stdout + done.stderr


# ---- the tests of the rules


def deaf(rule):
    return {**rule, "expr": f"({rule['expr']}) and on () vector(1) == 0"}


def touchy(rule):
    """Every threshold is met by any figure. absent() has none."""
    expr = re.sub(r"< .*86400", "< 1e12", rule["expr"])
    expr = re.sub(r"(> [0-9.]+(?= and )|> [0-9.* ]+$|> [0-9.]+(?=\n)|== 0$)", ">= 0", expr, flags=re.M)
    return {**rule, "expr": expr}


def hasty(rule):
    return {**rule, "for": "0s"}


def names_in(samples):
    return set(re.findall(r'alertname="(\w+)"', samples))


@pytest.mark.parametrize("change", (deaf, touchy, hasty))
def test_the_scenes_notice_when_an_alert_is(promtool, tmp_path, change):
    changed = {"groups": [{**group, "rules": [change(rule) for rule in group["rules"]]} for group in RULES["groups"]]}
    expected = {alert for alert, rule in ALERTS.items() if change(rule) != rule}
    assert len(expected) >= len(ALERTS) - 1, f"{change.__name__} leaves as they are: {set(ALERTS) - expected}"
    done = promtool_tests(promtool, tmp_path, changed, [promtool_test_of(scene) for part in SCENES.values() for scene in part])
    noticed = set()
    for wanted, got in re.findall(r"^ *exp: (.*)\n *got: (.*)$", done.stdout + done.stderr, re.M):
        noticed |= names_in(wanted) ^ names_in(got)
    assert noticed == expected, f"no scene notices that these are {change.__name__}: {expected - noticed}"
