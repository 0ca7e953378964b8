"""The attacks, one a row. docs/attacks.md says of each what the attacker does and what stops it."""

from row import Row

# Numbers of connections: a listener for callers takes 8,192 at two threads, the operations one 256, that for admission 512.
CROWD = 10000


def flood(what, n_threads, **more):
    return (("flood", {"do": what, "threads": n_threads, **more}),)


def two(program, **arguments):
    """Two processes of the same: one in Python is slow."""
    return ((program, arguments),) * 2


ROWS = [
    Row("baseline", (), quick=True),

    # ---- who has no certificate
    Row("silent-connections", (("silent", {"n": CROWD}),), seconds=14, least=4096, closed=("handshake_timeout", "crowded")),
    Row("idle-handshakes", (("idle-handshakes", {"n": 2000}),), seconds=14, least=2000, closed=("handshake_timeout", "crowded"),
        new_in_time=False),
    Row("descriptor-exhaustion", (("silent", {"n": 2000}),), n_files=1024, least=1000, most_cpu=0.9, quick=True),
    Row("connection-flood", flood("connect", 64), least=10, quick=True),
    Row("hello-flood", flood("hello", 256), least=10, must=("answered, left",), new_in_time=False, quick=True),
    Row("hello-and-leave-flood", flood("leave", 64), least=10, quick=True),
    Row("no-certificate", flood("handshake", 64), least=10),
    Row("certificate-of-another-ca", flood("handshake", 32, certificate="client_of_other_ca"), least=10),
    Row("certificate-expired", flood("handshake", 32, certificate="client_expired"), least=10),
    Row("certificate-of-another-name", flood("handshake", 32, certificate="client_of_other_name"), least=10),
    Row("garbage-for-tls", two("garbage"), least=10, never=("200", "400")),

    # ---- who has one
    Row("logins-on-new-connections", flood("login", 32, certificate="client"), least=10, must=("200, left",), new_in_time=False),
    Row("renegotiation", flood("renegotiate", 16, certificate="client"), least=10, never=("renegotiated",), quick=True),
    Row("key-updates", flood("key-update", 16, certificate="client"), least=10),
    Row("slow-header", (("slow-header", {"n": 300}),), seconds=26, least=300, closed=("request_timeout",)),
    Row("slow-body", (("slow-body", {"n": 300}),), seconds=26, least=300, closed=("request_timeout",)),
    Row("unread-replies", (("unread-replies", {"n": 100}),), seconds=42, rehearsal_seconds=12, least=100, closed=("write_timeout",)),
    Row("half-closed", (("half-closed", {"n": 500}),), seconds=8, least=500),
    Row("header-bombs", two("header-bombs"), least=10, must=("400",), never=("200",), quick=True),
    Row("held-headers", (("held-headers", {"n": 400}),), seconds=12, least=300),
    Row("long-header-names", two("long-names"), least=10, never=("200",)),
    Row("http-2", two("http-2"), least=10, must=("400",), never=("200", "101"), quick=True),
    Row("ambiguous-framing", two("ambiguous"), least=10, must=("400",)),
    Row("odd-paths", two("odd-paths"), must=("404",), never=("200",)),
    Row("chunked-flood", two("chunked"), least=4, quick=True),
    Row("pipelined-flood", two("pipelined"), least=4, quick=True),
    Row("resets", two("resets"), least=10, must=("left",), quick=True),
    Row("reloads", (("reloads", {}),), seconds=6, least=10, must=("200",)),
    Row("bodies-over-the-limit", two("over-the-limit"), least=7, must=("413",), never=("200",)),
    Row("bodies-of-2-mib", (("held-reviews", {"n": 400}),), seconds=15, least=200),
    Row("good-bodies-of-2-mib", two("whole-reviews", n=30), least=10, seconds=6),
    Row("bodies-of-8-mib", (("held-admissions", {"n": 150}),), seconds=15, least=80),
    Row("hostile-admission-bodies", two("hostile-admissions"), least=20, never=("200",), quick=True),

    # ---- the operations port, which wants no certificate
    Row("operations-connections", (("silent", {"n": 600, "at": "operations_port"}),), seconds=14, least=256),
    Row("operations-slow-header", (("slow-header", {"n": 250, "at": "operations_port"}),), seconds=14, least=250),
    Row("operations-bodies", two("over-the-limit", at="operations_port", path="/livez"), least=7, must=("413",), never=("200",)),
    Row("operations-header-bombs", two("header-bombs", at="operations_port"), least=10, must=("400",), never=("200",)),
    Row("operations-held-headers", (("held-headers", {"n": 300, "at": "operations_port"}),), seconds=14, least=200),
    Row("operations-http-2", two("http-2", at="operations_port"), least=10, must=("400",), never=("101",)),
]
