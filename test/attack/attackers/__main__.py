"""attackers NAME < what it is told, as JSON: one attack, in a process of its own. Prints what it sent and what ended it."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "integration"))

import bodies  # noqa: E402
import framing  # noqa: E402
import headers  # noqa: E402
import resets  # noqa: E402
import slow  # noqa: E402
from target import Target  # noqa: E402

ATTACKS = {name: act for module in (bodies, framing, headers, resets, slow) for name, act in module.ATTACKS.items()}


def main():
    target = Target(json.load(sys.stdin))
    ATTACKS[sys.argv[1]](target)
    print(json.dumps(target.report()))


main()
