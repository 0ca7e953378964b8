"""Free ports. The configuration wants a number, so one is looked up and may be gone a moment later: who uses it tries again."""

import socket

_given = set()


def free():
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port
