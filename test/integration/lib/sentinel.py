"""Tokens and secrets for tests. Each is made of the words of test/lib/sentinel.h, so that hack/find-sentinel.py finds any part
of one that leaked. Every one that is handed out is remembered (in memory only) for the search at the end of the session."""

import itertools
import re
import threading

from . import paths


def _read():
    text = paths.SENTINEL.read_text()
    values = {}
    for name, rest in re.findall(r"^#define (\w+) (.+)$", text, re.M):
        parts = re.findall(r'"([^"]*)"|(\bSENTINEL\w*\b)', rest)
        values[name] = "".join(literal or values[macro] for literal, macro in parts)
    return values


_values = _read()
SENTINEL = _values["SENTINEL"]
TOKEN = _values["SENTINEL_TOKEN"]
SECRET = _values["SENTINEL_SECRET"]

_lock = threading.Lock()
_used = {SENTINEL, TOKEN, SECRET}
_numbers = itertools.count(1)


def remember(text):
    """Adds a token or secret of the test's own making to what the search looks for."""
    with _lock:
        _used.add(text)
    return text


def token(prefix=""):
    """A token that nobody has used before."""
    with _lock:
        number = next(_numbers)
    return remember(f"{prefix}{TOKEN}-{number:05d}")


def secret(word="2"):
    """A client secret other than SECRET."""
    return remember(f"{SECRET}-{word}")


def used():
    with _lock:
        return sorted(_used)
