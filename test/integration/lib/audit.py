"""The audit log, read."""

import json


def decode(line, where):
    """A line that is no JSON object fails the test."""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise AssertionError(f"{where}: no JSON: {error}") from error
    assert isinstance(record, dict), f"{where}: no JSON object"
    return record


def read(path):
    """The complete lines of a log, decoded."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return [decode(line, f"{path}:{number}") for number, line in enumerate(data.split(b"\n")[:-1], 1)]


class Tail:
    """All records so far of a log that only grows; each line is decoded once."""

    def __init__(self, path):
        self.path, self.offset, self.found = path, 0, []

    def records(self):
        try:
            with open(self.path, "rb") as log:
                log.seek(self.offset)
                data = log.read()
        except FileNotFoundError:
            return self.found
        complete = data[:data.rfind(b"\n") + 1]
        self.offset += len(complete)
        self.found += [decode(line, f"{self.path}, a line after record {len(self.found)}") for line in complete.splitlines()]
        return self.found
