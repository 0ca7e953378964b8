"""The real program under 2,000 logins a second while everything around it goes wrong, row by row.

  python3 test/chaos --programs FOLDER [--seconds N] [--ci] [ROW...]

Prints a table and ends with "N passed, N failed, N skipped". A row that fails says what did not hold and how to see it again."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from lib import paths, sentinel  # noqa: E402
from lib.certificates import Certificates  # noqa: E402
from lib.clock import Clock  # noqa: E402

import table  # noqa: E402
import figures  # noqa: E402
import own_rows  # noqa: E402
import provider_rows  # noqa: E402
from row import is_wrong  # noqa: E402
from skip import Skip  # noqa: E402

DAY = 86400
ROWS = [figures.JUDGE] + provider_rows.ROWS + own_rows.ROWS
# Not part of a run of all: by name only.
FIGURES = figures.FIGURES


class Run:
    """The folder, the certificates and the outcome of all rows."""

    def __init__(self, options):
        self.options = options
        self.programs = Path(options.programs).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="kube-introspect-chaos-"))
        library = os.environ["CLOCK_LIBRARY"]
        self.clock, past = Clock(library, self.folder / "clock"), Clock(library, self.folder / "past")
        past.set_wall_ahead(-2 * DAY)
        with past.followed():  # so that they are valid for whoever's clock is an hour behind
            self.certificates = Certificates(self.folder / "certificates")
            self.certificates.provider_renewed = self.certificates.provider_ca.server("provider-renewed")
            self.certificates.provider_expired = self.certificates.provider_ca.expired("provider-expired", "localhost")
        self.passed = self.failed = self.skipped = 0

    def play(self, row):
        seconds = min(max(self.options.seconds, row.least_seconds), row.most_seconds)
        folder = self.folder / "rows" / row.name
        folder.mkdir(parents=True)
        try:
            failures = row.play(self, folder, seconds)
            if self.options.ci and failures and not any(is_wrong(sentence) for sentence in failures):
                print(f"    {failures[0]}: once more, since CI's machine may have stood still for a moment", flush=True)
                folder = folder.with_name(f"{row.name}-again")
                folder.mkdir()
                failures = row.play(self, folder, seconds)
            self.judge(row, seconds, failures)
        except Skip as why:
            self.skipped += 1
            print(f"{row.name}: skipped: {why}", flush=True)
        except Exception:
            traceback.print_exc()
            self.judge(row, seconds, ["it could not be played to its end, see above"])

    def judge(self, row, seconds, failures):
        if not failures:
            self.passed += 1
            return
        self.failed += 1
        for sentence in failures:
            print(f"    {row.name}: {sentence}")
        how = "CUT=1" if self.options.ci else f"SECONDS={seconds:g}"
        print(f"    see {self.folder / 'rows' / row.name}; again: make chaos TEST={row.name} {how}", flush=True)

    def search(self):
        """No part of a token or secret in anything that was written."""
        placed = [argument for name in ("secrets", "certificates", "tls") for argument in ("--skip", name)]
        found = subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", *placed, self.folder],
                               input="\n".join(sentinel.used()), capture_output=True, text=True)
        if found.returncode == 0:
            self.passed += 1
        else:
            self.failed += 1
            print(f"    part of a token or secret was written down: {found.stdout}{found.stderr}")

    def end(self):
        self.search()
        if not self.failed and not os.environ.get("KUBE_INTROSPECT_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--seconds", type=float, default=10, help="of trouble, each row")
    parser.add_argument("--rate", type=int, default=2000, help="of logins, a second")
    parser.add_argument("--ttl", type=int, default=3, help="of the webhook's cache, in seconds")
    parser.add_argument("--after", type=float, default=5, help="seconds that are looked at when it is over")
    parser.add_argument("--ci", action="store_true", help="only what two minutes have room for")
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    known = {row.name: row for row in ROWS + FIGURES}
    unknown = [name for name in options.rows if name not in known]
    if unknown:
        sys.exit(f"there is no row {', '.join(unknown)}; there are: {', '.join(known)}")
    run = Run(options)
    print(table.head(), flush=True)
    for row in ([known[name] for name in options.rows] or [row for row in ROWS if row.ci or not options.ci]):
        run.play(row)
    return run.end()


if __name__ == "__main__":
    sys.exit(main())
