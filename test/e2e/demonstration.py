"""Starting hack/run.sh as somebody types it, and seeing what it leaves behind."""

import os
import re
import signal
import subprocess
import time

import pytest

from lib import paths, wait

SECONDS = 120  # it may have to build first


@pytest.fixture
def environment(folder):
    """make run in a temporary folder of its own, so that what it leaves behind can be seen."""
    temporary = folder / f"make-run-{time.monotonic_ns()}"
    temporary.mkdir()
    # As typed by hand: what a make that runs the tests says to its own children is none of its business.
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    return {**inherited, "TMPDIR": str(temporary), "BUILD": os.path.relpath(paths.BINARY.parent, paths.ROOT)}


def heed_signals():
    """A signal that is ignored when bash starts, as under nohup, could not be trapped by it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def left_behind(environment):
    """Files, and processes whose arguments name the temporary folder."""
    temporary = environment["TMPDIR"]
    found = [str(path) for path in os.scandir(temporary)]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as arguments:
                line = arguments.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if temporary in line:
            found.append(f"{pid}: {line}")
    return found


@pytest.fixture
def running(environment, folder):
    """A function that starts it and returns when its output holds the words."""
    processes = []

    def start(words, **more):
        log = folder / f"transcript-{len(os.listdir(folder))}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen([paths.ROOT / "hack" / "run.sh"], env={**environment, **more}, cwd=paths.ROOT,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       preexec_fn=heed_signals)
        processes.append(process)
        wait.until(lambda: words in log.read_text() or process.poll() is not None, lambda: f"{words!r} in {log.read_text()}", SECONDS)
        assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()}"
        return process, log

    yield start
    for process in processes:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def in_order(transcript, *patterns):
    """Asserts that the lines are there, one after the other; gives the groups of the last."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.M).search(transcript, at)
        assert match, f"expected, from character {at} on, {pattern!r} in:\n{transcript}"
        at = match.end()
    return match
