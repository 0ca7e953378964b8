"""The transcript of make run CLUSTER=1, and what it leaves up to be played with."""

import os
import re
import signal
import subprocess

from demonstration import environment, in_order, left_behind, running  # noqa: F401, fixtures among them
from lib import paths, wait


def test_make_run_shows_kubectl_log_in_and_be_refused(environment, programs, folder):
    done = subprocess.run(["make", "run", "CLUSTER=1", "ONCE=1"], cwd=paths.ROOT, env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=180 * wait.SLOWNESS)
    transcript = done.stdout
    (folder / "transcript-cluster.log").write_text(transcript + done.stderr)
    assert done.returncode == 0, transcript + done.stderr
    match = in_order(
        transcript,
        r"^kube-apiserver runs at https://localhost:\d+ and asks the webhook, by the files of manifests/apiserver$",
        r"^  \$ kubectl auth whoami$",
        r"^  Username +demo:alice$",
        r"^  Groups +\[demo:developers demo:team-a system:authenticated\]$",
        r"^  Extra: kube-introspect.io/credential +\[\w{32}\]$",
        r"^  \$ kubectl get configmaps --namespace=default$",
        r"^  Error from server \(Forbidden\): configmaps is forbidden: User \"demo:bob\"",
        r"^  refused after \d+ s; the most it can take is 21 s",
        r"^  error: You must be logged in to the server \(Unauthorized\)$",
        r'"verdict":"allow","reason":"ok"',
        r'"verdict":"deny","reason":"inactive"',
        r'"verb":"list","requestURI":"/api/v1/namespaces/default/configmaps\?limit=500","code":200,"credential":"(\w{32})"',
    )
    assert f"kube-introspect.io/credential   [{match[1]}]" in transcript, "the two logs do not join"
    assert not re.search(r"[\w-]{43}|eyJ", transcript), "something that looks like a token"
    assert left_behind(environment) == []


def test_it_stays_up_with_a_kubeconfig_to_play_with(environment, programs, running):
    process, log = running("All stays up until Ctrl-C", CLUSTER="1")
    offered = wait.until(lambda: re.search(r"^  \. (\S+)/env$", log.read_text(), re.M), "what to type next")[1]
    assert offered in " ".join(left_behind(environment)), "this test would not see what is left behind"
    script = f"""set -euo pipefail
        . {offered}/env
        get_token alice >$DEMO/alice.token
        kubectl auth whoami
        kubectl get configmaps
        ! kubectl --context=bob get configmaps
        kubectl --context=admin get clusterrolebinding demo-developers
        introspect "$(<$DEMO/alice.token)" | jq --exit-status '.active'
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60 * wait.SLOWNESS,
                          env={name: value for name, value in os.environ.items() if name != "KUBECONFIG"})
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "demo:alice" in done.stdout and "Forbidden" in done.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, log.read_text()
    assert left_behind(environment) == []
