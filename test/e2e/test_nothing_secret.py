"""No token of the provider, no client secret and no part of one is in anything that these tests made the webhook write: logs,
audit records, metrics, replies. Runs last. test/integration/test_sentinel.py tests the search itself."""

import subprocess
import sys

from lib import paths, sentinel


def search(folder):
    # The configured secrets are where they belong. A JWT and a certificate have "localhost" in base64 in common.
    # Definitions that somebody else wrote have words in common with a secret of ours.
    names = ("secrets", "tls", "certificates", "etcd-of-definitions", "kubectl-cache")
    skip = [argument for name in names for argument in ("--skip", name)]
    return subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", *skip, folder],
                          input="\n".join(sentinel.used()), capture_output=True, text=True)


def test_nothing_that_the_webhook_wrote_holds_a_token_or_a_secret(folder):
    found = search(folder)
    assert found.returncode == 0, f"expected no part of a token or secret below {folder}:\n{found.stdout}{found.stderr}"


def test_the_search_finds_one_of_these_tokens(folder, provider):
    token = provider.password()
    planted = folder / "planted.log"
    planted.write_text(f"something {token[7:19]} else")
    try:
        found = search(folder)
    finally:
        planted.unlink()
    assert found.returncode == 1 and "planted.log" in found.stdout, found.stdout
