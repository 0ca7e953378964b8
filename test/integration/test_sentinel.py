"""No token, no client secret and no part of one is anywhere in what this session wrote; and the search that says so is itself
tested. This file runs last."""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from lib import paths, sentinel

ODD = "KIOddSecret+/=%&" + sentinel.SENTINEL[::-1]
TOKEN = sentinel.TOKEN


@pytest.fixture
def folder():
    """Not pytest's tmp_path, which outlives the session."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def search(folder, strings=(), skip=()):
    arguments = [argument for name in skip for argument in ("--skip", name)]
    return subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", *arguments, folder],
                          input="\n".join(strings), capture_output=True, text=True)


def shifted(text, n):
    return base64.b64encode(b"x" * n + text.encode() + b"yy").decode()


PLANTED = {
    "the whole token": TOKEN,
    "the whole client secret": sentinel.SECRET,
    "its first 12 characters": TOKEN[:12],
    "its last 12 characters": TOKEN[-12:],
    "12 characters from the middle": TOKEN[17:29],
    "12 characters of the secret": sentinel.SECRET[5:17],
    "base64": shifted(TOKEN, 0),
    "base64 one byte further": shifted(TOKEN, 1),
    "base64 two bytes further": shifted(TOKEN, 2),
    "12 characters in base64": shifted(TOKEN[9:21], 0),
    "12 characters in base64, one byte further": shifted(TOKEN[9:21], 1),
    "12 characters in base64, two bytes further": shifted(TOKEN[9:21], 2),
    "base64url": base64.urlsafe_b64encode(("~?" + ODD).encode()).decode(),
    "an Authorization header": "Authorization: Basic " + base64.b64encode(f"kube-introspect:{sentinel.SECRET}".encode()).decode(),
    "a form-encoded secret in an Authorization header": base64.b64encode(f"id:{quote_plus(ODD)}".encode()).decode(),
    "form-encoded": quote_plus(ODD),
    "form-encoded in lower case": "KIOddSecret%2b%2f%3d%25%26",
    "escaped by JSON": json.dumps({"a": ODD}).replace("/", "\\/"),
    "hex": TOKEN.encode().hex(),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_the_search_finds_a_planted(folder, kind):
    for offset in range(8):  # it looks at every seventh byte only
        (folder / f"{offset}.log").write_text("." * (100 + offset) + PLANTED[kind] + "\nnext line\n")
    found = search(folder, [ODD])
    assert found.returncode == 1, f"planted {kind}, and the search said: {found.stdout}{found.stderr}"
    for offset in range(8):
        assert f"/{offset}.log:" in found.stdout, f"planted {kind} at {100 + offset}, and the search said: {found.stdout}"
    assert TOKEN[:12] not in found.stdout, "the search shows what it found"


def test_the_search_finds_one_in_a_file_name(folder):
    (folder / TOKEN).write_text("nothing")
    assert search(folder).returncode == 1


def test_the_search_finds_a_token_that_it_was_told_of(folder):
    (folder / "some.log").write_text("abc " + ODD[3:15] + " def")
    assert search(folder).returncode == 0
    assert search(folder, [ODD]).returncode == 1


def test_the_search_looks_into_folders_and_passes_over_the_skipped(folder):
    (folder / "a" / "secrets").mkdir(parents=True)
    (folder / "a" / "secrets" / "client-secret").write_text(sentinel.SECRET)
    assert search(folder).returncode == 1
    (folder / "a" / "other").write_text("nothing")
    assert search(folder, skip=["secrets"]).returncode == 0


def test_the_search_does_not_call_an_eleven_character_part_or_common_text_a_find(folder):
    (folder / "some.log").write_text(TOKEN[3:14] + " " + "The quick brown fox. " * 1000)
    assert search(folder).returncode == 0


def test_the_search_of_nothing_is_no_success(folder):
    assert search(folder).returncode == 2
    assert search(folder / "not-there").returncode == 2


def test_every_process_that_took_its_time_has_ended_well(run):
    run.wait_for_the_slow()


def test_nothing_that_this_session_wrote_holds_a_token_or_a_secret(run):
    found = run.search()
    assert found.returncode == 0, f"expected no part of a token or secret below {run.path}:\n{found.stdout}{found.stderr}"
