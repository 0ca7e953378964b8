"""The pages of docs/runbooks and the alerts that lead to them, read."""

import re
import runpy

import yaml

from . import paths

FOLDER = paths.ROOT / "docs" / "runbooks"
INDEX = FOLDER / "README.md"
RULES = paths.ROOT / "manifests" / "components" / "alerts" / "prometheusrule.yaml"
SCENES = paths.ROOT / "test" / "alerts" / "scenes.py"
SECTIONS = ["See it", "Meanwhile", "What to do", "It is over when", "Do not"]


def pages():
    found = sorted(page for page in FOLDER.glob("*.md") if page != INDEX)
    assert len(found) > 10, f"{FOLDER}: {len(found)} pages"
    return found


def alerts():
    """Name -> rule."""
    groups = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def documents():
    """All that people read of metrics and commands."""
    root = paths.ROOT
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md")), *sorted((root / "manifests").rglob("*.md")),
             root / "certs" / "README.md", RULES]
    assert len(found) > 30
    return found


def scenes():
    """Every series of test/alerts, a line each."""
    return "\n".join(series for part in runpy.run_path(str(SCENES))["SCENES"].values() for scene in part for series in scene.series)


def links(text):
    return re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", text)


def commands(text):
    """What follows a prompt ($), with the lines that continue it; and what stands in fences of sh, line by line."""
    found, lines = [], text.splitlines()
    for at, line in enumerate(lines):
        match = re.match(r"^ +\$ (.*)$", line)
        if not match:
            continue
        command = match[1]
        while re.search(r"(\||\\|&&)$", command):
            at += 1
            command += "\n" + lines[at].strip()
        found.append(command)
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        found += [line for line in block.splitlines() if re.match(r"(ops|log|audit|ki)\b(?!\()", line)]
    return found
