"""Where things lie: the repository, the program under test, and the sources that tests read lists from."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("KUBE_INTROSPECT_BINARY", ROOT / "build" / "kube-introspect")).resolve()
REASONS = ROOT / "webhook" / "core" / "reason.h"
SENTINEL = ROOT / "test" / "lib" / "sentinel.h"
LEAKS = ROOT / "test" / "lsan.supp"
RACES = ROOT / "test" / "tsan.supp"
FIND_SENTINEL = ROOT / "hack" / "find-sentinel.py"
REVIEWS = ROOT / "test" / "data" / "reviews"
RECORDED_REVIEWS = ROOT / "test" / "data" / "kube-apiserver"
AUTHORIZATIONS = ROOT / "test" / "data" / "authorizations"
ADMISSIONS = ROOT / "test" / "data" / "admissions"
REPLIES = ROOT / "test" / "data" / "replies"
BAD_CONFIGURATIONS = ROOT / "test" / "data" / "configurations" / "bad"
