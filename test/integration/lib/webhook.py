"""The program under test: its folder, its process, and what it writes."""

import http.client
import json
import os
import resource
import signal
import subprocess
import threading
import time

from . import admission, audit, configuration, connection, handle, paths, ports, sentinel, wait
from .caller import Caller
from .metrics import Metrics

STOP_SECONDS = 25 + 8  # the drain is bounded at 25, and what comes after it
GENERATION = "kube_introspect_config_generation"
RELOADED = "kube_introspect_config_last_reload_successful"


class Folder:
    """A folder with a configuration and all files it names, copied so that a test may change them."""

    def __init__(self, path, certificates):
        self.path = path
        path.mkdir(parents=True)
        for name in ("tls", "secrets", "audit", "tmp"):
            (path / name).mkdir()
        self.write("secrets/client-secret", sentinel.SECRET + "\n")
        self.write("secrets/handle-key", f"{handle.LINE}\n{handle.OLD_LINE}\n")
        self.install(certificates.server, "tls/tls")
        self.copy(certificates.client_ca.cert, "tls/client-ca.crt")
        self.copy(certificates.provider_ca.cert, "tls/provider-ca.crt")
        self.install(certificates.provider_client, "tls/provider-client")
        self.config = path / "config.yaml"

    def write(self, name, text):
        """Replaces a file at once: nobody ever sees half of it."""
        target = self.path / name
        fresh = target.with_name(target.name + ".new")
        fresh.write_text(text)
        os.replace(fresh, target)
        return target

    def copy(self, source, name):
        return self.write(name, "".join(path.read_text() for path in (source if isinstance(source, list) else [source])))

    def install(self, certificate, name):
        self.copy(certificate.key, name + ".key")
        self.copy(certificate.cert, name + ".crt")

    def configure(self, document):
        return self.write("config.yaml", document if isinstance(document, str) else configuration.text(document))


class Webhook:
    """A running kube-introspect serve."""

    def __init__(self, path, certificates, issuers, changes=None, prepare=None, n_files=None, stderr=None, wrapper=(),
                 variables=None):
        """issuers  a list of configuration.issuer()
        changes  laid over configuration.webhook()
        prepare  called with the Folder before the start
        n_files  the limit of its open files
        stderr   where its log goes, in place of a file
        wrapper  a command that runs the program, with its arguments behind its own
        variables  of its environment"""
        self.certificates = certificates
        self.folder = Folder(path, certificates)
        self.issuers, self.changes = issuers, changes or {}
        self.n_files, self.stderr = n_files, stderr
        self.wrapper, self.variables = wrapper, variables or {}
        self.log, self.stdout = path / "webhook.log", path / "stdout.log"
        self.replies = path / "replies.log"
        self.audit_path = path / "audit" / "audit.jsonl"
        self.audit_tail = audit.Tail(self.audit_path)
        self.recording = threading.Lock()
        self.n_verdicts = 0
        self.last_status = 0  # what it ends with when it is asked to
        self.process = None
        if prepare:
            prepare(self.folder)
        self._start()

    # ---- start

    def _start(self):
        for _ in range(5):
            self.port, self.operations_port, self.admission_port = ports.free(), ports.free(), ports.free()
            self.folder.configure(self.document())
            self._spawn()
            if self._is_up():
                return
            if "ddress already in use" not in self.log_text():
                break
            self.log.unlink()
        status = self.process.poll()
        self.kill()
        raise AssertionError(f"the webhook did not start (exit status {status}): {self._tail()}")

    def document(self, issuers=None, changes=None):
        merged = configuration.merged(self.changes, changes or {})
        if "admission" in merged.get("listeners", {}):
            address = {"listeners": {"admission": {"address": f"127.0.0.1:{self.admission_port}"}}}
            merged = configuration.merged(merged, address)
        return configuration.webhook(self.issuers if issuers is None else issuers, self.port, self.operations_port, merged)

    def _spawn(self):
        with open(self.log, "ab") as log, open(self.stdout, "ab") as stdout:
            self.process = subprocess.Popen([*self.wrapper, paths.BINARY, "serve", "--config", self.folder.config], cwd=self.folder.path,
                                            stdin=subprocess.DEVNULL, stdout=stdout, stderr=self.stderr or log,
                                            env=environment(TMPDIR=str(self.folder.path / "tmp"), **self.variables),
                                            preexec_fn=self._set_limits)

    def _set_limits(self):
        """In the child. A core file is allowed, so that it is the program that forbids it."""
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        if self.n_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.n_files, self.n_files))

    def _is_up(self):
        """Its loops answer: /readyz may still fail, for want of a provider, say."""
        deadline = time.monotonic() + 10 * wait.SLOWNESS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.operations("/readyz")
                return True
            except OSError:
                time.sleep(0.005)
        return False

    def restart(self):
        """After stop() or kill(): the same configuration at the same ports."""
        self._spawn()
        assert self._is_up(), f"the webhook did not start again; {self._tail()}"
        return self

    # ---- what it is asked

    def operations(self, path, method="GET"):
        """Status, headers and text from the operations listener."""
        client = self._operations_client()
        try:
            client.request(method, path)
            response = client.getresponse()
            text = response.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            client.close()
        self._keep(text)
        return response.status, {name.lower(): value for name, value in response.getheaders()}, text

    def _operations_client(self):
        seconds = 10 * wait.SLOWNESS
        if "tls" not in self.changes.get("listeners", {}).get("operations", {}):
            return http.client.HTTPConnection("127.0.0.1", self.operations_port, timeout=seconds)
        tls = connection.context(self.certificates.server_ca)
        return http.client.HTTPSConnection("localhost", self.operations_port, timeout=seconds, context=tls)

    def metrics(self):
        status, _, text = self.operations("/metrics")
        assert status == 200, f"/metrics answered {status}: {text[:200]}; {self._tail()}"
        return Metrics(text)

    def metric(self, name, **labels):
        return self.metrics().value(name, **labels)

    def is_ready(self):
        return self.operations("/readyz")[0] == 200

    def wait_ready(self):
        wait.until(self.is_ready, lambda: f"/readyz answers 200: {self.operations('/readyz?verbose')[2]}; {self._tail()}")
        return self

    def caller_tls(self, certificate=None, **more):
        return connection.context(self.certificates.server_ca, certificate or self.certificates.client, **more)

    def caller(self, certificate=None, **more):
        return Caller(self, self.caller_tls(certificate, **more))

    def validator(self, certificate=None):
        """A caller of the admission listener, where the changes have one."""
        return admission.Validator(self, self.caller_tls(certificate))

    def connect(self, tls=None, **more):
        return connection.Connection(self.port, tls or self.caller_tls(), record=self.record, **more)

    def record(self, response):
        """Keeps every reply for the search of the sentinel, and counts the verdicts among them."""
        with self.recording:
            self.n_verdicts += response.status == 200
        self._keep(f"{response.status} {response.reason}\n{response.headers}\n{response.body.decode('latin-1')}\n")

    def _keep(self, text):
        with self.recording, open(self.replies, "a") as replies:
            replies.write(text)

    # ---- what it writes

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _tail(self):
        lines = self.log_text().splitlines()[-15:]
        return f"log {self.log}, its end:\n" + "\n".join(lines)

    def wait_log(self, *words, start=0):
        """Until one line of the log, after its first `start` characters, holds all words; gives the line."""

        def find():
            return next((line for line in self.log_text()[start:].splitlines() if all(word in line for word in words)), None)

        return wait.until(find, lambda: f"a line of the log with {words}; {self._tail()}")

    def audit_records(self):
        return audit.read(self.audit_path)

    def wait_audit(self, n=1, **fields):
        """Until the log has n records with these fields; gives them."""

        def find():
            found = [record for record in self.audit_records() if all(record.get(k) == v for k, v in fields.items())]
            return found if len(found) >= n else None

        return wait.until(find, lambda: f"{n} records with {fields} in {self.audit_path}, which ends with: "
                                        f"{[json.dumps(record) for record in self.audit_records()[-3:]]}; {self._tail()}")

    def reason_of(self, act):
        """Does act(), which leads to one verdict, and gives its result with the audit record of it. For a log that is not
        rotated, and a webhook that nobody else asks meanwhile."""
        before = self.wait_records(self.n_verdicts)
        result = act()
        self.wait_records(before + 1)
        return result, self.audit_tail.found[before]

    def wait_records(self, n):
        """The log is written after the answer: until it has n records; gives how many it has."""
        wait.until(lambda: len(self.audit_tail.records()) >= n,
                   lambda: f"{n} records in {self.audit_path} (seen: {len(self.audit_tail.found)}); {self._tail()}")
        return len(self.audit_tail.found)

    # ---- reload and stop

    def generation(self):
        return self.metric(GENERATION)

    def reload(self, issuers=None, changes=None):
        """A changed configuration, told by SIGHUP; returns when it is in force."""
        before = self.generation()
        self.folder.configure(self.document(issuers, changes))
        self.process.send_signal(signal.SIGHUP)
        self.wait_generation(before + 1)
        self.wait_live()  # a loop that was stuck is not waited for: now it has turned

    def wait_generation(self, at_least):
        wait.until(lambda: self.generation() >= at_least,
                   lambda: f"generation {at_least} is in force (seen: {self.generation()}); {self._tail()}")

    def wait_live(self):
        """Until every thread turns, as it does within a moment unless this machine stood still."""
        wait.until(lambda: self.operations("/livez")[0] == 200, lambda: f"/livez is well; {self._tail()}")

    def assert_alive(self):
        assert self.process.poll() is None, f"the process ended with {self.process.returncode}; {self._tail()}"

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it without waiting for callers to go, which a second signal asks for; it must end with 0."""
        self._ask_to_stop()
        self.wait_stopped()

    def stop_soon(self):
        """As stop(), but gives false where that takes more than a moment; wait_stopped() is then left to do."""
        self._ask_to_stop()
        try:
            self.process.wait(1 * wait.SLOWNESS)
        except subprocess.TimeoutExpired:
            return False
        self.wait_stopped()
        return True

    def _ask_to_stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)

    def wait_stopped(self):
        try:
            status = self.process.wait(STOP_SECONDS * wait.SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"still running {STOP_SECONDS * wait.SLOWNESS:g} s after SIGTERM; {self._tail()}") from None
        assert status == self.last_status, f"expected exit status {self.last_status} after SIGTERM, got {status}; {self._tail()}"
        for words in ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:"):
            assert words not in self.log_text(), f"a sanitizer has something to say; {self._tail()}"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def environment(**more):
    """That of a child. What libraries do by themselves is no news to the sanitizers."""
    own = {"LSAN_OPTIONS": f"suppressions={paths.LEAKS}:print_suppressions=0", 
           "TSAN_OPTIONS": f"suppressions={paths.RACES}:atexit_sleep_ms=0"}
    given = {name: f"{os.environ[name]}:{value}" if name in os.environ else value for name, value in own.items()}
    return {**os.environ, **given, **more}


def command(*arguments, cwd=None, seconds=20, stdin=None):
    """Runs the program to its end."""
    return subprocess.run([paths.BINARY, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, input=stdin,
                          env=environment(), timeout=seconds * wait.SLOWNESS)
