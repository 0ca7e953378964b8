"""The real program under random sequences of events, held against model.py. See docs/testing.md."""

import itertools
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from lib import paths, sentinel  # noqa: E402
from lib.certificates import Certificates  # noqa: E402
from machine import Machine  # noqa: E402
from world import World  # noqa: E402

STEPS_A_SEQUENCE = 50  # some end sooner: on average 45
STEPS = int(os.environ.get("STEPS") or 10000)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture(scope="module")
def folder():
    """Not pytest's tmp_path, which outlives the session."""
    with tempfile.TemporaryDirectory(prefix="kube-introspect-model-") as made:
        yield Path(made)


def test_whatever_happens_only_what_may_be_answered_is(folder, capsys):
    certificates, numbers = Certificates(folder / "certificates"), itertools.count(1)
    Machine.new_world = lambda policy: World(folder / f"{next(numbers):05d}", certificates, os.environ["CLOCK_LIBRARY"], policy)
    with capsys.disabled():
        print(f"\nmodel: {STEPS} steps; to see the same again: make model STEPS={STEPS} SEED={SEED}")
    phases = [Phase.generate] + [Phase.shrink] * (os.environ.get("SHRINK") != "0")
    checks = settings(max_examples=1 + STEPS // 45, stateful_step_count=STEPS_A_SEQUENCE, database=None,
                      deadline=None, phases=phases, suppress_health_check=HealthCheck.all())
    try:
        run_state_machine_as_test(seed(SEED)(Machine), settings=checks)
    except BaseException:
        with capsys.disabled():
            print(f"model: the first failure, at step {Machine.failed_at}; the shortest that was found of it is below\n{Machine.first_failure}")
        raise
    with capsys.disabled():
        print(f"model: {Machine.n_steps} steps, {World.seen.total()} answers: {dict(World.seen.most_common())}")


def test_nothing_that_was_written_meanwhile_holds_a_token_or_a_secret(folder):
    skip = [argument for word in ("secrets", "certificates", "tls") for argument in ("--skip", word)]
    found = subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", *skip, folder],
                           input="\n".join(sentinel.used()), capture_output=True, text=True)
    assert found.returncode == 0, f"expected no part of a token or secret below {folder}:\n{found.stdout}{found.stderr}"
