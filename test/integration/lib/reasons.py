"""The reasons of webhook/core/reason.h, read out of it."""

import re

from . import paths


def read():
    """Word -> (verdict, sentence)."""
    text = re.sub(r"[ \t]*\\\n[ \t]*", " ", paths.REASONS.read_text())  # the lines of the macro, joined
    found = re.findall(r'X\((\w+), "(\w+)", (ALLOW|DENY|UNAVAILABLE), "([^"]+)"\)', text)
    assert found, f"{paths.REASONS}: no reasons found"
    return {word: (verdict.lower(), sentence) for _, word, verdict, sentence in found}
