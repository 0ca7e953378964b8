"""make attack: carries the attacks of rows.py out against the real binary, and prints what came of it.

  /usr/bin/python3 test/attack [--quick] [--table FILE] [NAME...]

--quick: the cut of CI. --table: also writes the table to a file. NAME: only these rows. KUBE_INTROSPECT_KEEP keeps the folder, and so
does a row that does not hold. Exit status 0 when every row holds."""

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import bed
from lib.certificates import Certificates
from row import carry_out
from rows import ROWS

HEAD = ("| attack | connections | sent | p99, kept: without, under attack | worst | p99, new: without, under attack | failures | memory before, "
        "peak, after | CPU | what ended it |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")


def mebibytes(n):
    return f"{n / bed.MEBIBYTE:,.0f}" if n >= 10 * bed.MEBIBYTE else f"{n / bed.MEBIBYTE:.1f}"


def line(result):
    if result.good is None:
        return f"| {result.row.name} | | | | | | | | | | |"
    kept, new = result.good["kept"], result.good["new"]
    cells = [result.row.name, f"{result.connections:,}", f"{mebibytes(result.n_bytes)} MiB",
             f"{result.calm['kept']['p99_ms']:.1f}, {kept['p99_ms']:.1f} ms", f"{max(kept['worst_ms'], new['worst_ms']):.0f} ms",
             f"{result.calm['new']['p99_ms']:.1f}, {new['p99_ms']:.1f} ms", f"{result.n_failures()} of {kept['n'] + new['n']:,}",
             ", ".join(mebibytes(n) for n in (result.memory_before, result.memory_peak, result.memory_after)) + " MiB",
             f"{result.cpu:.0%}", result.ended_by()]
    return "| " + " | ".join(cells) + " |"


def show(result):
    """The row, and below it whether it holds."""
    busy = " (times are not judged: the machine is busy)" if result.is_busy else ""
    again = f" (for memory it came {result.encores} more times)" if result.encores else ""
    print(line(result))
    print(f"    {'holds' if result.holds else 'DOES NOT HOLD: ' + '; '.join(result.faults)}{again}{busy}", flush=True)


def run_row(row, folder, certificates):
    """Up to twice more where nothing but a time did not hold: the machine may have been busy for a moment."""
    for attempt in range(3):
        path = folder / f"{row.name}{attempt or ''}"
        result = carry_out(row, path, certificates)
        show(result)
        if not result.is_timing_only or attempt == 2:
            break
        print("    once more, since only a time did not hold", flush=True)
    if result.holds and not os.environ.get("KUBE_INTROSPECT_KEEP"):
        shutil.rmtree(path)
    return result


def undescribed():
    """Rows that docs/attacks.md says nothing about."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text()
    return [row.name for row in ROWS if f"**{row.name}**" not in text]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    rows = [row for row in ROWS if row.name in options.names or (not options.names and (row.quick or not options.quick))]
    unknown = set(options.names) - {row.name for row in rows}
    if unknown:
        sys.exit(f"there is no attack {', '.join(sorted(unknown))}; there are: {' '.join(row.name for row in ROWS)}")
    if options.quick:
        rows = [replace(row, seconds=min(row.seconds, 2), rehearsal_seconds=1) for row in rows]
    folder = Path(tempfile.mkdtemp(prefix="kube-introspect-attack-"))
    certificates = Certificates(folder / "certificates")
    print(HEAD)
    results = [run_row(row, folder, certificates) for row in rows]
    if options.table:
        options.table.write_text("\n".join([HEAD, *map(line, results)]) + "\n")
    failed = [result.row.name for result in results if not result.holds]
    missing = undescribed()
    if missing:
        print(f"docs/attacks.md says nothing of {', '.join(missing)}")
    if not failed and not os.environ.get("KUBE_INTROSPECT_KEEP"):
        shutil.rmtree(folder)
    else:
        print(f"logs are in {folder}")
    print(f"{len(results) - len(failed)} passed, {len(failed) + len(missing)} failed, 0 skipped")
    sys.exit(bool(failed or missing))


main()
