#!/usr/bin/python3
"""Searches folders for the test tokens and secrets of test/lib/sentinel.h, and for any part of one.

  hack/find-sentinel.py [--strings FILE] [--skip NAME]... FOLDER...

A part is 12 characters in a row; it is found as it stands, form-encoded, as JSON escapes it, in hex, and in base64 and base64url
at each of the three alignments (so also inside an Authorization header). What is found is named by file, offset and form, and
never shown.

  --strings FILE  further tokens and secrets, one a line ("-": standard input)
  --skip NAME     a file or folder of this name is passed over: where a test has put its secrets

Exit status: 0 nothing found, 1 something found, 2 the arguments are wrong or there was nothing to search.
"""

import argparse
import base64
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

HEADER = Path(__file__).resolve().parent.parent / "test" / "lib" / "sentinel.h"
PART = 12
# 12 bytes leave at least 15 characters of base64 that depend on nothing else, whatever the alignment.
BASE64_PART = 15
# Each part, even the shortest, holds a GRAM that begins at a multiple of STRIDE: only those places are looked at.
GRAM = 6
STRIDE = PART - GRAM + 1
# Parts that begin closer together than this belong to one leak.
SAME = 256
MAX_HITS = 50


def sentinels():
    """The strings that the header defines."""
    values = {}
    for name, rest in re.findall(r"^#define (\w+) (.+)$", HEADER.read_text(), re.M):
        values[name] = "".join(text or values[macro] for text, macro in re.findall(r'"([^"]*)"|(\bSENTINEL\w*\b)', rest))
    return set(values.values())


def written_forms(text):
    """Ways to write a token, with the name of each."""
    yield "as it stands", text
    for name, form in (("form-encoded", quote_plus(text, safe="")), ("form-encoded", quote(text, safe="")),
                       ("JSON-escaped", json.dumps(text)[1:-1]), ("JSON-escaped", json.dumps(text)[1:-1].replace("/", "\\/"))):
        if form != text:
            yield name, form
    lower = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote_plus(text, safe=""))
    if lower != text:
        yield "form-encoded", lower


def base64_forms(data):
    """The characters that depend on data alone, at the three alignments, in both alphabets."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
        first = (shift * 8 + 5) // 6
        last = (shift + len(data)) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].translate(bytes.maketrans(b"+/", b"-_"))


class Parts:
    """All parts of all strings in all forms, and a quick way to see that a place holds none."""

    def __init__(self, strings):
        self.names = {PART: {}, BASE64_PART: {}, 2 * PART: {}}
        for text in strings:
            for name, form in written_forms(text):
                data = form.encode()
                self._add(PART, name, data)
                for encoded in base64_forms(data):
                    self._add(BASE64_PART, "base64" if name == "as it stands" else f"{name}, then base64", encoded)
            self._add(2 * PART, "hex", text.encode().hex().encode())
            self._add(2 * PART, "hex", text.encode().hex().upper().encode())
        self.grams = {part[at:at + GRAM] for parts in self.names.values() for part in parts
                      for at in range(len(part) - GRAM + 1)}

    def _add(self, n, name, data):
        for at in range(len(data) - n + 1):
            self.names[n].setdefault(data[at:at + n], name)

    def find(self, data):
        """Offset and form of the first part at each place."""
        after = 0
        for place in range(0, len(data) - GRAM + 1, STRIDE):
            if place < after or data[place:place + GRAM] not in self.grams:
                continue
            hit = self._around(data, place)
            if hit:
                yield hit
                after = hit[0] + SAME

    def _around(self, data, place):
        for n, parts in self.names.items():
            for start in range(max(0, place - n + GRAM), place + 1):
                name = parts.get(data[start:start + n])
                if name:
                    return start, name
        return None


def files(folders, skip):
    for folder in folders:
        if os.path.isfile(folder):
            yield folder
        for where, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if name not in skip]
            for name in names:
                path = os.path.join(where, name)
                if name not in skip and os.path.isfile(path) and not os.path.islink(path):
                    yield path


def in_name(parts, path):
    return [(0, "in the file's name")] if any(parts.find(path.encode())) else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", metavar="FILE")
    parser.add_argument("--skip", metavar="NAME", action="append", default=[])
    parser.add_argument("folders", metavar="FOLDER", nargs="+")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        if not os.path.exists(folder):
            parser.error(f"{folder}: not there")

    strings = sentinels()
    if arguments.strings:
        given = sys.stdin.read() if arguments.strings == "-" else Path(arguments.strings).read_text()
        strings |= {line for line in given.splitlines() if line}
    parts = Parts(strings)

    n_files = n_bytes = n_hits = 0
    for path in files(arguments.folders, set(arguments.skip)):
        data = Path(path).read_bytes()
        n_files, n_bytes = n_files + 1, n_bytes + len(data)
        for offset, name in [*in_name(parts, path), *parts.find(data)]:
            n_hits += 1
            if n_hits <= MAX_HITS:
                print(f"{path}:{offset}: part of a test token or secret, {name}")
    print(f"{n_files} files, {n_bytes} bytes, {len(strings)} strings: {n_hits} found", file=sys.stderr)
    if not n_files:
        return 2
    return 1 if n_hits else 0


if __name__ == "__main__":
    sys.exit(main())
