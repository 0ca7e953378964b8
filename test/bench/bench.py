"""Measures the webhook against a static reply of the same process and against a plain Go webhook, interleaved in one run.

The server under test has one core (CPU 0); load generator and provider share the other. Figures of one round are only
compared with figures of the same round; what is printed are medians of the rounds' ratios.
"""
import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER_CPU, OTHER_CPU = "0", "1"
RULES = """\
admission:
  rules:
  - {name: cluster-roles-need-mfa, match: {operations: [CREATE, UPDATE], resources: [clusterrolebindings.rbac.authorization.k8s.io]},
     requireToken: {amr: [mfa], maxAge: 15m}, action: Deny}
  - {name: exec-needs-mfa, match: {operations: [CONNECT], resources: [pods/exec, pods/attach]}, requireToken: {amr: [mfa]}, action: Deny}
  - {name: changes-need-a-scope, match: {resources: ["*.apps"]}, requireToken: {scope: [groups]}, action: Deny}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, what):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit(f"bench: {what} does not listen after 15 s")


def start(cpu, *command, env=None):
    return subprocess.Popen(["taskset", "-c", cpu, *map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            env={**os.environ, **(env or {})})


def certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench ca")
    for name, subject, extension in (("server", "/CN=localhost", "subjectAltName=DNS:localhost"),
                                     ("client", "/CN=kube-apiserver", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(extension)
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    (folder / "secret").write_text("bench-secret\n")
    (folder / "handle-key").write_text("bench-handle-key-of-forty-characters-0001\n")


class Bench:
    def __init__(self, programs, folder):
        self.programs, self.folder = pathlib.Path(programs).resolve(), folder
        self.processes = []
        certificates(folder)

    def provider(self, delay_ms):
        port = free_port()
        self.processes.append(start(OTHER_CPU, self.programs / "provider", port, self.folder / "server.crt",
                                    self.folder / "server.key", delay_ms))
        wait_for(port, "the provider")
        return port

    def webhook(self, provider_port, entries=200000, wrapper=(), handle=False, admission_port=None):
        port, operations = free_port(), free_port()
        tls = "tls: {certFile: server.crt, keyFile: server.key, clientCAFile: ca.crt, clientNames: [kube-apiserver]}"
        path = self.folder / f"config-{port}.yaml"
        path.write_text(f"""\
apiVersion: kube-introspect.io/v1alpha1
kind: WebhookConfiguration
cluster: bench
listeners:
  authentication:
    address: 127.0.0.1:{port}
    {tls}
  {f'admission: {{address: "127.0.0.1:{admission_port}", {tls}}}' if admission_port else ""}
  operations: {{address: "127.0.0.1:{operations}"}}
issuers:
- name: bench
  issuer: {{url: "https://localhost:{provider_port}", audiences: [kubernetes], certificateAuthorityFile: ca.crt}}
  tokens: {{opaque: true, clientIDs: [app]}}
  introspection:
    endpoint: https://localhost:{provider_port}/introspect
    client: {{id: bench, method: client_secret_basic, secretFile: secret}}
    budget: {{concurrent: 256, perSecond: 1000000, burst: 1000000, unknownTokens: 1}}
  cache: {{ttl: 10m}}
  claimMappings:
    username: {{claim: preferred_username, prefix: "demo:"}}
    groups: {{claim: groups, prefix: "demo:"}}
    uid: {{claim: sub}}
cache: {{maxEntries: {entries}}}
audit: {{path: audit-{port}.jsonl}}
log: {{level: warning}}
{"handle: {keyFile: handle-key, recheckAfter: 10m, maxAge: 1h}" if handle else ""}
{RULES if admission_port else ""}
""")
        process = start(SERVER_CPU, *wrapper, self.programs / "webhook", "serve", "--config", path)
        self.processes.append(process)
        for each in [port, *([admission_port] if admission_port else [])]:
            wait_for(each, "the webhook")
        return port, process

    def go_webhook(self, provider_port, *options):
        port = free_port()
        f = self.folder
        process = start(SERVER_CPU, self.programs / "webhook-go", "-listen", f"127.0.0.1:{port}", "-cert", f / "server.crt",
                        "-key", f / "server.key", "-client-ca", f / "ca.crt", "-endpoint",
                        f"https://localhost:{provider_port}/introspect", "-ca", f / "ca.crt", "-id", "bench", "-secret-file",
                        f / "secret", *options, env={"GOMAXPROCS": "1"})
        self.processes.append(process)
        wait_for(port, "the Go webhook")
        return port, process

    def load(self, port, *options):
        return self.begin_load(port, *options)()

    def saturate(self, port, process, seconds, path):
        """Cached logins over 64 connections, as many as the server's core can do."""
        return self.load(port, "--warm", "--awake", "--pid", process.pid, "--connections", 64, "--seconds", seconds, "--path", path)

    def begin_load(self, port, *options, niceness=0):
        """Starts it, and gives a function that waits for its figures."""
        f = self.folder
        run = subprocess.Popen(["nice", "-n", str(niceness), "taskset", "-c", OTHER_CPU, self.programs / "load", "--port", str(port),
                                "--ca", f / "ca.crt", "--cert", f / "client.crt", "--key", f / "client.key", *map(str, options)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(run)

        def figures():
            stdout, stderr = run.communicate(timeout=120)
            if not stdout:
                sys.exit(f"bench: load: {stderr}")
            made = json.loads(stdout)
            if made["errors"]:
                sys.exit(f"bench: {made['errors']} of {made['requests']} answers were no yes: this measures nothing")
            return made

        return figures

    def login(self, port):
        """Logs one token in, and gives the user of the answer."""
        f = self.folder
        tls = ssl.create_default_context(cafile=f / "ca.crt")
        tls.load_cert_chain(f / "client.crt", f / "client.key")
        client = http.client.HTTPSConnection("localhost", port, context=tls, timeout=60)
        review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": "0" * 60}}
        client.request("POST", "/authenticate", json.dumps(review), {"Content-Type": "application/json"})
        user = json.loads(client.getresponse().read())["status"]["user"]
        client.close()
        return user

    def assert_equal_replies(self, port):
        """Both replies that are compared have the same size, header and body."""
        f = self.folder
        tls = ssl.create_default_context(cafile=f / "ca.crt")
        tls.load_cert_chain(f / "client.crt", f / "client.key")
        client = http.client.HTTPSConnection("localhost", port, context=tls, timeout=60)
        sizes = []
        for path in ("/static", "/authenticate"):
            review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": "0" * 60}}
            client.request("POST", path, json.dumps(review), {"Content-Type": "application/json"})
            reply = client.getresponse()
            sizes.append((sum(len(name) + len(value) for name, value in reply.getheaders()), len(reply.read())))
        client.close()
        assert sizes[0] == sizes[1], sizes

    def authorization(self, port):
        """The options of a load that asks about a request of a user who has logged in."""
        f, user = self.folder, self.login(port)
        spec = {"resourceAttributes": {"namespace": "default", "verb": "get", "version": "v1", "resource": "configmaps", "name": "a"},
                "user": user["username"], "groups": [*user["groups"], "system:authenticated"], "extra": user["extra"],
                "uid": user["uid"]}
        (f / "authorization.json").write_text(json.dumps(
            {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": spec,
             "status": {"allowed": False}}, separators=(",", ":")))
        return "--path", "/authorize", "--body", f / "authorization.json", "--expect", '"status":{"allowed":false}}'

    def admission(self, user, name, obj):
        """The options of a load that asks whether this user may change a deployment into this object."""
        request = {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                   "resource": {"group": "apps", "version": "v1", "resource": "deployments"}, "name": "web", "namespace": "default",
                   "operation": "UPDATE", "userInfo": {**user, "groups": [*user["groups"], "system:authenticated"]},
                   "object": obj, "oldObject": None, "dryRun": False, "options": None}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request},
                                   separators=(",", ":")))
        return ("--path", "/validate", "--body", path, "--expect", '"allowed":true'), path.stat().st_size

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def row(name, values, aim=""):
    middle = statistics.median(values)
    form = ".2f" if middle >= 0.1 or middle < 0 else ".3f"
    print(f"{name:<62} {middle:>8{form}}   [{min(values):{form}} .. {max(values):{form}}]  {aim}", flush=True)


def cached(bench, rounds, seconds):
    provider = bench.provider(0)
    ours, process = bench.webhook(provider)
    go, go_process = bench.go_webhook(provider)
    bench.assert_equal_replies(ours)
    for port in (ours, go):  # fill the caches
        bench.load(port, "--warm", "--connections", 16, "--seconds", 1)
    of_static, of_static_cpu, of_go, of_go_cpu, ours_rate, p99s, p99_floor = ([] for _ in range(7))
    for _ in range(rounds):
        static = bench.saturate(ours, process, seconds, "/static")
        login = bench.saturate(ours, process, seconds, "/authenticate")
        by_go = bench.saturate(go, go_process, seconds, "/authenticate")
        of_static.append(login["per_second"] / static["per_second"])
        of_static_cpu.append(static["server_us"] / login["server_us"])
        of_go.append(login["per_second"] / by_go["per_second"])
        of_go_cpu.append(by_go["server_us"] / login["server_us"])
        ours_rate.append(login["per_second"])
        timed = {name: bench.load(ours, "--warm", "--connections", 64, "--rate", 2000, "--seconds", seconds, "--path", path)
                 for name, path in (("static", "/static"), ("ours", "/authenticate"))}
        p99s.append(timed["ours"]["p99_ms"])
        p99_floor.append(timed["ours"]["p99_ms"] / timed["static"]["p99_ms"])
    row("cached, 64 connections: reviews a second", ours_rate)
    row("cached, 64 connections: ratio to the static reply", of_static, "aim >= 0.75")
    row("the same, by the server's CPU time a request", of_static_cpu)
    row("cached, 64 connections: ratio to the Go webhook", of_go, "aim >= 2.2")
    row("the same, by the server's CPU time a request", of_go_cpu)
    row("cached, 2,000 a second: p99 in ms", p99s)
    row("cached, 2,000 a second: p99 as a multiple of the static reply's", p99_floor, "aim <= 1.3")


def uncached(bench, rounds, seconds, delay_ms, connections, aim):
    """With few callers a slow provider is the limit, with many the core is."""
    provider = bench.provider(delay_ms)
    servers = {"ours": bench.webhook(provider, entries=1000000), "go": bench.go_webhook(provider)}
    of_go, of_go_cpu, rates, of_limit, of_limit_go = ([] for _ in range(5))
    for _ in range(rounds):
        runs = {name: bench.load(port, "--fresh", "--pid", process.pid, "--connections", connections, "--seconds", seconds)
                for name, (port, process) in servers.items()}
        rates.append(runs["ours"]["per_second"])
        of_go.append(runs["ours"]["per_second"] / runs["go"]["per_second"])
        of_go_cpu.append(runs["go"]["server_us"] / runs["ours"]["server_us"])
        # Each caller waits for the provider, so this many a second are all that any webhook can answer.
        limit = 1000 * connections / delay_ms if delay_ms > 0 else float("inf")
        of_limit.append(runs["ours"]["per_second"] / limit)
        of_limit_go.append(runs["go"]["per_second"] / limit)
    what = f"uncached, provider takes {delay_ms} ms, {connections} callers"
    row(f"{what}: reviews a second", rates)
    row(f"{what}: ratio to the Go webhook", of_go, aim)
    row("  the same, by the server's CPU time a review", of_go_cpu)
    if delay_ms > 0:
        row("  of what so many callers can ask at most: ours", of_limit)
        row("  of what so many callers can ask at most: the Go webhook", of_limit_go)


def resident_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_ms(bench, process, port, n_requests, *options):
    """The server's CPU time for each of so many requests: what other programs do at that time hardly changes it."""
    before = cpu_seconds(process)
    bench.load(port, "--requests", n_requests, *options)
    return 1000 * (cpu_seconds(process) - before) / n_requests


def memory(bench):
    """Resident bytes a cached 60-character token, from 20,000 to 100,000 of them."""
    provider = bench.provider(0)
    ours, process = bench.webhook(provider)
    fill = ["--warm", "--connections", 16, "--token-bytes", 60]
    bench.load(ours, *fill, "--tokens", 20000, "--seconds", 5)
    before = resident_bytes(process)
    bench.load(ours, *fill, "--tokens", 100000, "--seconds", 25)
    row("memory: bytes above its own length a cached 60-byte token", [(resident_bytes(process) - before) / 80000 - 60],
        "aim <= 512")


def authorization(bench, rounds, seconds):
    """Requests after the login beside logins, both from the cache, with a handle, and of one token."""
    ours, process = bench.webhook(bench.provider(0), handle=True)
    loads = {"login": ("--warm", "--tokens", 1), "request": bench.authorization(ours)}
    rates, of_login, of_login_cpu = [], [], []
    for _ in range(rounds):
        made = {name: bench.load(ours, "--pid", process.pid, "--connections", 64, "--seconds", seconds, *options)
                for name, options in random.sample(list(loads.items()), 2)}  # who is first is chance
        rates.append(made["request"]["per_second"])
        of_login.append(made["request"]["per_second"] / made["login"]["per_second"])
        of_login_cpu.append(made["login"]["server_us"] / made["request"]["server_us"])
    row("cached, SubjectAccessReviews a second", rates)
    row("cached, SubjectAccessReviews: ratio to logins with a handle", of_login, "aim >= 1")
    row("the same, by the server's CPU time a request", of_login_cpu)


def deployment(n_bytes):
    """One that takes about this many bytes, most of them in its containers' environment."""
    variable = {"name": "A_VARIABLE_OF_SOME_CONTAINER", "value": "what it is set to", "optional": False}
    n_containers = max(1, n_bytes // 800)
    containers = [{"name": f"c{i}", "image": f"registry.example.test/team/web@sha256:{i:064x}", "ports": [{"containerPort": 8080}],
                   "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}}, "env": [variable] * 8} for i in range(n_containers)]
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "namespace": "default", "annotations": {"a": ""}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}}}


def hostile():
    """65,000 names in no order that differ at their ends only: the most work that the search for doubled names can be given."""
    names = [f"{'n' * 113}{i:05d}" for i in range(65000)]
    random.Random(1).shuffle(names)
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "data": {name: "v" for name in names}}


def usual_review(bench, user):
    """The options of a load of reviews of 4 KiB."""
    obj = deployment(3000)
    _, n_bytes = bench.admission(user, "review", obj)
    obj["metadata"]["annotations"]["a"] = "x" * (4096 - n_bytes)
    options, n_bytes = bench.admission(user, "review", obj)
    assert n_bytes == 4096, n_bytes
    return options


def admission(bench, rounds, seconds):
    """AdmissionReviews and logins side by side on one core, and what becomes of logins beside bodies made to take long."""
    port = free_port()
    ours, process = bench.webhook(bench.provider(0), handle=True, admission_port=port)
    user = bench.login(ours)
    usual = usual_review(bench, user)
    large, n_large = bench.admission(user, "hostile", hostile())
    assert 8_000_000 < n_large <= 8 * 1024 * 1024, n_large
    bench.load(ours, "--warm", "--connections", 16, "--seconds", 1)
    logins = ("--warm", "--connections", 64, "--rate", 2000, "--seconds", seconds)
    beside = ("--connections", 64, "--rate", 2000, "--seconds", seconds + 1)
    alone, reviews, with_reviews, bodies, with_bodies = ([] for _ in range(5))
    for _ in range(rounds):
        alone.append(bench.load(ours, *logins))
        sent = bench.begin_load(port, *beside, *usual)
        with_reviews.append(bench.load(ours, *logins))
        reviews.append(sent())
        # The sender gives way, or the logins' own load generator would wait for it and that is what would be measured.
        sent = bench.begin_load(port, "--connections", 1, "--seconds", seconds + 1, *large, niceness=19)
        with_bodies.append(bench.load(ours, *logins))
        bodies.append(sent())

    def moved(what, runs):
        return [100 * (run[what] / base[what] - 1) for run, base in zip(runs, alone)]

    def of(what, runs):
        return [run[what] for run in runs]

    row("admission: reviews of 4 KiB a second, beside 2,000 logins", of("per_second", reviews), "aim >= 2000")
    row("the same: p99 in ms", of("p99_ms", reviews), "aim <= 3")
    row("2,000 logins a second alone: p99 in ms", of("p99_ms", alone))
    row("the same beside those admission reviews: p99 in ms", of("p99_ms", with_reviews))
    row("the same: how much the logins' p99 moves, in %", moved("p99_ms", with_reviews), "aim < 20")
    row("the same: how much their median moves, in %", moved("p50_ms", with_reviews))
    row("hostile bodies of 8 MiB, one after the other: a second", of("per_second", bodies))
    row("2,000 logins a second beside them: p99 in ms", of("p99_ms", with_bodies))
    row("the same: how much the logins' p99 moves, in %", moved("p99_ms", with_bodies))
    row("the same: how much their median moves, in %", moved("p50_ms", with_bodies))
    for what, its_port, n, options in (("login with a handle", ours, 20000, ("--warm",)), ("review of 4 KiB", port, 20000, usual),
                                       ("hostile body of 8 MiB", port, 20, ("--connections", 1, *large))):
        row(f"CPU of a {what}, in ms", [cpu_ms(bench, process, its_port, n, *options) for _ in range(rounds)])


def log_in_as_api_server(bench, server, seconds, *options):
    """Figures of a client that is made of the API server's own transport, and how much of a core the server took for it."""
    f, (port, process) = bench.folder, server
    before = cpu_seconds(process)
    done = subprocess.run(["taskset", "-c", OTHER_CPU, bench.programs / "api-server-client", "-url",
                           f"https://localhost:{port}/authenticate?timeout=30s", "-ca", f / "ca.crt", "-cert", f / "client.crt", "-key",
                           f / "client.key", "-seconds", str(seconds), *map(str, options)],
                          check=True, capture_output=True, text=True, timeout=120)
    made = json.loads(done.stdout)
    # The second before the measurement costs as much as those in it, but for the first handshakes of all.
    made["cores"] = (cpu_seconds(process) - before) / (made["seconds"] + 1)
    return made


def handshakes(bench, rounds, seconds):
    """What it costs that HTTP/1.1 takes a connection for each login under way, of which the API server keeps 25 idle ones, beside a
    server that speaks HTTP/2."""
    at_once, slow = bench.provider(0), bench.provider(100)
    cached, asks = ([bench.webhook(provider, entries=1000000), bench.go_webhook(provider, "-http2")] for provider in (at_once, slow))
    # Of those, each run has others; of a thousand, each has all.
    new, first = ("-tokens", 100000000), itertools.count(10000000, 1000000)
    patterns = [(f"{n} callers, each again at once, from the cache", cached, ("-concurrent", n)) for n in (1, 25, 200)]
    patterns += [(f"{n} logins at the same moment each second, from the cache", cached, ("-concurrent", n, "-every", "1s"))
                 for n in (25, 200)]
    patterns += [(f"{n * 10} a second, new ones, provider takes 100 ms: {n} under way", asks, ("-rate", n * 10, *new))
                 for n in (1, 25, 200)]
    for what, servers, options in patterns:
        for server in servers:
            runs = [log_in_as_api_server(bench, server, seconds, *options, "-first", next(first)) for _ in range(rounds)]
            print(f"{what}: {'ours' if server is servers[0] else 'Go'}, {runs[0]['protocol']}")
            row("  logins a second", [run["per_second"] for run in runs])
            row("  handshakes a second", [run["handshakes"] / run["seconds"] for run in runs])
            row("  failed, in % (a handshake has 10 s)", [100 * run["errors"] / run["requests"] for run in runs])
            row("  p50 in ms", [run["p50_ms"] for run in runs])
            row("  p99 in ms", [run["p99_ms"] for run in runs])
            row("  the server's CPU, in cores", [run["cores"] for run in runs])
    port, process = cached[0]
    each = [cpu_ms(bench, process, port, 500, "--warm", "--connections", 500) for _ in range(rounds)]
    row("CPU of a connection with a full handshake and one login, in ms", each)


def instructions(bench):
    """Instructions a cached request, by callgrind: two runs of different length, so that the start cancels out."""
    provider = bench.provider(0)
    warm = lambda _: ("--warm", "--tokens", "100")
    usual = lambda ours: usual_review(bench, bench.login(ours))
    for name, options_of, handle, admits in (("review", warm, False, False), ("review, with a handle", warm, True, False),
                                             ("SubjectAccessReview", bench.authorization, True, False),
                                             ("AdmissionReview of 4 KiB", usual, True, True)):
        row(f"instructions a cached {name}", [_instructions(bench, provider, options_of, handle, admits)])


def _instructions(bench, provider, options_of, handle, admits):
    totals = []
    for n_requests in (2000, 6000):
        out = bench.folder / f"callgrind-{n_requests}"
        port = free_port() if admits else None
        ours, process = bench.webhook(provider, wrapper=("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"),
                                      handle=handle, admission_port=port)
        bench.load(port or ours, *options_of(ours), "--connections", "4", "--requests", str(n_requests))
        process.terminate()
        process.wait()
        totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1)))
    return (totals[1] - totals[0]) / 4000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", help="cached, authorization, admission, uncached, handshakes, memory or instructions")
    options = parser.parse_args()
    parts = {
        "cached": lambda b: cached(b, options.rounds, options.seconds),
        "authorization": lambda b: authorization(b, options.rounds, options.seconds),
        "admission": lambda b: admission(b, options.rounds, options.seconds),
        "uncached": lambda b: [uncached(b, options.rounds, options.seconds, delay, connections, aim)
                               for delay, connections, aim in ((0, 64, "aim >= 2"), (5, 64, "aim >= 1.3"),
                                                               (5, 256, "aim >= 1.3"), (20, 64, "aim: not behind"),
                                                               (20, 256, "aim: not behind"))],
        "handshakes": lambda b: handshakes(b, options.rounds, options.seconds),
        "memory": memory,
        "instructions": instructions,
    }
    print(f"{'':<62} {'median':>8}   [least .. most of {options.rounds} rounds]")
    for name, measure in parts.items():
        if options.only and name != options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(options.programs, pathlib.Path(folder))
            try:
                measure(bench)
            finally:
                bench.stop()


if __name__ == "__main__":
    main()
