"""The transcript of make run: what a newcomer sees first is tested like the program itself."""

import re
import shutil
import signal
import subprocess

import pytest

from demonstration import SECONDS, environment, in_order, left_behind, running  # noqa: F401, fixtures among them
from lib import paths, wait

def test_make_run_shows_a_login_its_revocation_and_the_refusal(environment, folder):
    done = subprocess.run(["make", "run", "ONCE=1"], cwd=paths.ROOT, env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=SECONDS * wait.SLOWNESS)
    transcript = done.stdout
    (folder / "transcript.log").write_text(transcript + done.stderr)
    assert done.returncode == 0, transcript + done.stderr
    in_order(
        transcript,
        r"^An OpenID provider \(oidc-provider\) runs at https://localhost:\d+$",
        r"^The webhook runs at https://localhost:\d+$",
        r"^  POST https://localhost:\d+/authenticate\?timeout=30s$",
        r'"kind": "TokenReview"',
        r'"audiences": \[\s+"https://kubernetes.default.svc"\s+\]',
        r"^The webhook asks the provider \(RFC 7662\), which takes [\d.]+ ms, and answers, HTTP 200, after [\d.]+ ms:$",
        r'"authenticated": true',
        r'"username": "demo:alice"',
        r'"uid": "user-\w{16}"',
        r'"groups": \[\s+"demo:developers",\s+"demo:team-a"\s+\]',
        r"^Asked again, it answers from its cache after [\d.]+ ms\.$",
        r"revoked at the provider \(POST /token/revocation, RFC 7009\)\.$",
        r"^Refused \d+ ms later",
        r'"authenticated": false',
        r'"verdict":"allow","reason":"ok".*"cache":"miss"',
        r'"verdict":"allow","reason":"ok".*"cache":"hit"',
        r'"verdict":"deny","reason":"inactive"',
        r'^  kube_introspect_reviews_total\{.*verdict="allow".*\} \d+$',
    )
    assert int(re.search(r"^Refused (\d+) ms later", transcript, re.M)[1]) < 1000 * (2 + wait.STALL)
    assert "\x1b" not in transcript, "colours, but this is no terminal"
    assert not re.search(r"[\w-]{43}|eyJ", transcript), "something that looks like a token"
    assert not done.stderr
    assert left_behind(environment) == []


def test_it_stays_up_and_the_functions_it_offers_work(environment, running):
    process, log = running("curl http")
    offered = re.search(r"^  \. (\S+)/env$", log.read_text(), re.M)[1]
    assert offered in " ".join(left_behind(environment)), "this test would not see what is left behind"
    script = f"""set -euo pipefail
        . {offered}/env
        token=$(get_token bob)
        review "$token" | jq --exit-status '.status.user.username == "demo:bob"'
        set_groups bob on-call
        introspect "$token" | jq --exit-status '.groups == ["on-call"]'
        introspect "$token" >{offered}/reply.json
        {paths.BINARY} explain --config {offered}/config.yaml --reply {offered}/reply.json
        {paths.BINARY} check --config {offered}/config.yaml --online
        revoke "$token"
        introspect "$token" | jq --exit-status '.active == false'
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60 * wait.SLOWNESS)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "demo:bob" in done.stdout and "demo:on-call" in done.stdout
    process.terminate()
    assert process.wait(30) == 0, log.read_text()
    assert left_behind(environment) == []


@pytest.mark.parametrize("number, words", [
    (signal.SIGINT, "Building"),
    (signal.SIGINT, "Making development certificates"),
    (signal.SIGTERM, "Fetching the demo provider"),
    (signal.SIGINT, "An OpenID provider"),
    (signal.SIGTERM, "The webhook runs"),
    (signal.SIGHUP, "Both stay up"),
    (signal.SIGINT, "Both stay up"),
], ids=lambda value: getattr(value, "name", value))
def test_a_signal_leaves_nothing_behind(environment, running, number, words):
    process, log = running(words)
    process.send_signal(number)
    process.wait(30)
    assert left_behind(environment) == [], log.read_text()


def test_a_kill_leaves_no_process_behind(environment, running):
    process, _ = running("Both stay up")
    process.kill()
    process.wait(30)
    wait.until(lambda: len(left_behind(environment)) == 1, lambda: f"only the folder is left of {left_behind(environment)}")
    shutil.rmtree(environment["TMPDIR"])


def test_a_failure_half_way_names_its_log_and_leaves_nothing_behind(environment, folder):
    """A provider whose packages are broken: the step fails after certificates were made."""
    hash = subprocess.run(["sha256sum", paths.ROOT / "hack/provider/package-lock.json"], capture_output=True, text=True).stdout[:16]
    cache = folder / "broken-cache"
    (cache / "kube-introspect" / f"provider-{hash}").mkdir(parents=True)
    done = subprocess.run([paths.ROOT / "hack" / "run.sh"], env={**environment, "XDG_CACHE_HOME": str(cache)}, cwd=paths.ROOT,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
    assert done.returncode == 1
    assert "The provider did not start:" in done.stderr and "oidc-provider" in done.stderr
    log = paths.ROOT / re.search(r"^The whole log: (\S+)$", done.stderr, re.M)[1]
    assert "oidc-provider" in log.read_text()
    assert left_behind(environment) == []
