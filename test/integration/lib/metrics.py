"""The Prometheus text format, read."""

import re

_LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples, self.types, self.helps = [], {}, {}
        for line in text.splitlines():
            self._read(line)

    def _read(self, line):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            assert name not in self.types, f"metrics: {name} has two TYPE lines"
            self.types[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, sentence = line.split(" ", 3)
            self.helps[name] = sentence
        elif line and not line.startswith("#"):
            match = _LINE.match(line)
            assert match, f"metrics: not a line of the text format: {line!r}"
            self.samples.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))

    def value(self, name, **labels):
        """The sum of the samples of this name that have these labels; None where there is none."""
        found = [value for sample, has, value in self.samples
                 if sample == name and all(has.get(key) == want for key, want in labels.items())]
        return sum(found) if found else None

    def names(self):
        return {name for name, _, _ in self.samples}
