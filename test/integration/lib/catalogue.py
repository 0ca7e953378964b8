"""What /metrics can print, as docs/metrics.md lists it: each metric with its labels, and the values that a label can have. test_runbooks.py
holds it against the program; what other pages and alerts say of metrics is held against it."""

import itertools
import re

from . import paths, reasons

PAGE = paths.ROOT / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `((?:kube_introspect|process)_\w+)` \| (\w+) \|\s*([^|]*?)\s*\| (.*)$", re.M)
_LABEL = re.compile(r"`(\w+)`(?: \(((?:`\w+`(?:, )?)+)\))?")
_REFERENCE = re.compile(r"((?:kube_introspect|process)_\w+|\.\.\.)(?:\{([^{}]*)\})?")
_BARE = re.compile(r"(?<!\w)(verdict|reason|outcome|result|tokens|part)(=~|!=|!~|=)\"([^\"]*)\"")
_MATCHER = re.compile(r"\s*(\w+)(=~|!=|!~|=)\"((?:[^\"\\]|\\.)*)\"\s*,?")
PARTS = ("_bucket", "_sum", "_count")


def outcomes():
    """Those of calls: the table of the page."""
    table = PAGE.read_text().split("| outcome | what the provider did |", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.M))


class Metric:
    def __init__(self, name, kind, labels, rest):
        self.name, self.kind = name, kind
        self.is_always = "*always*" in rest
        self.labels = {label: set(re.findall(r"`(\w+)`", values)) if values else self._domain(label)
                       for label, values in _LABEL.findall(labels)}

    def _domain(self, label):
        """None: any text."""
        if label == "verdict":
            return {verdict for verdict, _ in reasons.read().values()}
        if label == "reason":
            return set(reasons.read())
        return outcomes() if label == "outcome" else None

    def closed(self):
        """The combinations of values of all labels, where each has a list of them."""
        if any(values is None for values in self.labels.values()):
            return set()
        return set(itertools.product(*(sorted(values) for values in self.labels.values())))

    def trouble(self, matchers, part=""):
        """What is wrong with LABEL=VALUE matchers; None where nothing is."""
        for label, operator, value in matchers:
            if label == "le" and part == "_bucket":
                continue
            if label not in self.labels and label not in ("instance", "job"):
                return f"{self.name} has no label {label}"
            values = self.labels.get(label)
            if values is None:
                continue
            wanted = value.split("|") if "~" in operator else [value]
            for each in wanted:
                found = any(re.fullmatch(each, one) for one in values) if "~" in operator else each in values
                if not found:
                    return f"{self.name} has no {label}={each!r}"
        return self._contradiction({label: value for label, operator, value in matchers if operator in ("=", "=~")})

    def _contradiction(self, given):
        if set(given) >= {"verdict", "reason"}:
            for word in given["reason"].split("|"):
                if word in reasons.read() and reasons.read()[word][0] != given["verdict"]:
                    return f"{word} is no {given['verdict']}"
        return None


def read():
    """Name -> Metric."""
    found = {row[0]: Metric(*row) for row in _ROW.findall(PAGE.read_text())}
    assert len(found) > 30, f"{PAGE}: {len(found)} metrics found"
    return found


def _matchers(text):
    """The matchers within braces; None where they are none."""
    found, at = [], 0
    while at < len(text) and text[at:].strip():
        match = _MATCHER.match(text, at)
        if not match:
            return None
        found.append(match.groups())
        at = match.end()
    return found


class References:
    """What a text says of metrics: n of them, and what is wrong."""

    def __init__(self, text):
        self.catalogue = read()
        self.names, self.wrong, self.n = set(), [], 0
        text = text.replace("\\|", "|")  # in a table of Markdown
        for name, braces in _REFERENCE.findall(text):
            self._look_at(name, braces)
        for label, operator, value in _BARE.findall(_REFERENCE.sub("", text)):
            self.n += 1
            self._some_metric_has([(label, operator, value)], f'{label}{operator}"{value}"')

    def _look_at(self, name, braces):
        if name == "..." and not braces:
            return
        self.n += 1
        matchers = _matchers(braces)
        if matchers is None:
            return self.wrong.append(f"{name}{{{braces}}} is no selector") if "\\(" not in braces else None
        if name == "...":
            return self._some_metric_has(matchers, braces)
        if name.endswith("_"):  # the beginning of several, of a grep
            if not any(each.startswith(name) for each in self.catalogue):
                self.wrong.append(f"no metric begins with {name}")
            return None
        return self._one_metric_has(name, matchers)

    def _one_metric_has(self, name, matchers):
        part = next((part for part in PARTS if name.endswith(part) and name not in self.catalogue), "")
        metric = self.catalogue.get(name.removesuffix(part))
        if metric is None or part and metric.kind != "histogram":
            return self.wrong.append(f"there is no metric {name}")
        self.names.add(metric.name)
        trouble = metric.trouble(matchers, part)
        return self.wrong.append(trouble) if trouble else None

    def _some_metric_has(self, matchers, text):
        if all(metric.trouble(matchers) for metric in self.catalogue.values()):
            self.wrong.append(f"no metric has {text}")


def full_page():
    """Lines as /metrics would print them, were everything counted once."""
    lines = []
    for metric in read().values():
        for part in PARTS if metric.kind == "histogram" else [""]:
            domains = {**metric.labels, **({"le": {"1"}} if part == "_bucket" else {})}
            for values in itertools.product(*(sorted(values) if values else ["corp"] for values in domains.values())):
                labels = ",".join(f'{label}="{value}"' for label, value in zip(domains, values))
                lines.append(f"{metric.name}{part}{{{labels}}} 1" if labels else f"{metric.name}{part} 1")
    return lines


def alternatives(pattern):
    """All that an extended regular expression's (a|b) can stand for: each must find something by itself."""
    depth, parts, start = 0, [], 0
    for at, char in enumerate(pattern):
        escaped = at > 0 and pattern[at - 1] == "\\"
        if char == "(" and not escaped:
            depth += 1
        elif char == ")" and not escaped:
            depth -= 1
        elif char == "|" and depth == 0:
            parts.append(pattern[start:at])
            start = at + 1
    parts.append(pattern[start:])
    return parts if len(parts) == 1 and "(" not in pattern else [each for part in parts for each in _expanded(part)]


def _expanded(part):
    match = re.search(r"(?<!\\)\(", part)
    if not match:
        return [part]
    depth, end = 0, match.start()
    for end in range(match.start(), len(part)):
        depth += {"(": 1, ")": -1}.get(part[end], 0)
        if depth == 0:
            break
    inner = [each for each in alternatives(part[match.start() + 1:end])]
    return [part[:match.start()] + one + rest for one in inner for rest in _expanded(part[end + 1:])]
