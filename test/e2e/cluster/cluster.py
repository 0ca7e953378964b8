"""All of it together: a provider, the webhook that asks it, the API server that asks the webhook, and kubectl."""

import base64
import json

import yaml

from control_plane import CACHE, ControlPlane
from demo_provider import BASIC
from kubectl import Kubectl
from lib import admission, paths, sentinel, wait
from lib.configuration import merged
from lib.webhook import Webhook
from login import API_SERVER, issuer_for

REVIEWS, CALLS = "kube_introspect_reviews_total", "kube_introspect_introspection_calls_total"
ADMISSIONS = "kube_introspect_admission_reviews_total"
# The key of extra that joins the API server's audit log with ours.
CREDENTIAL = "kube-introspect.io/credential"
# The outer cache of kube-apiserver, which no flag changes.
OUTER_SECONDS = 10
CONFIGMAPS = "/api/v1/namespaces/default/configmaps?limit=1"
ISSUER = {"claimMappings": {"extra": [{"key": "example.com/email", "claim": "email"}]}}

# Developers may read config maps; nobody else of the provider may do anything.
DEVELOPERS = (
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "e2e-readers"},
     "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "e2e-developers"},
     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "e2e-readers"},
     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "corp:developers"}]},
)


class Cluster:
    def __init__(self, folder, programs, etcd, certificates, cluster_certificates, provider, issuer=None, changes=None, flags=None,
                 issuers=(), handle=None, authorizes=None, rules=None):
        """issuer   laid over issuer_for(provider)
        issuers  further ones
        changes  laid over the webhook's configuration
        flags    laid over those of manifests/apiserver/kubeadm.yaml; answers are remembered for a second if they do not say
        handle   laid over a handle of the webhook's, and the API server asks about requests too
        authorizes  false: it does not, in spite of the handle
        rules    of admission; given, if only as [], the API server asks about changes"""
        self.provider, self.control_plane = provider, None
        self.webhook = Webhook(folder / "webhook", certificates, [issuer_for(provider, merged(ISSUER, issuer or {})), *issuers],
                               {"apiAudiences": [API_SERVER], **self._with(handle), **self._with_rules(rules), **(changes or {})},
                               lambda its_folder: its_folder.write("secrets/client-secret", BASIC.secret + "\n"))
        try:
            self.webhook.wait_ready()
            self.control_plane = ControlPlane(
                folder / "api-server", programs, etcd, certificates, cluster_certificates,
                f"https://localhost:{self.webhook.port}", {CACHE: "1s", **(flags or {})},
                handle is not None if authorizes is None else authorizes,
                None if rules is None else f"localhost:{self.webhook.admission_port}")
            self.kubectl = Kubectl(self.control_plane, folder)
            self.kubectl.apply(*DEVELOPERS)
            if rules is not None:
                self.register(certificates)
        except BaseException:
            self.kill()
            raise

    @staticmethod
    def _with(handle):
        return {} if handle is None else {"handle": {"keyFile": "secrets/handle-key", **handle}}

    @staticmethod
    def _with_rules(rules):
        return {} if rules is None else {"listeners": {"admission": admission.LISTENER}, "admission": {"rules": rules}}

    def register(self, certificates):
        """The ValidatingWebhookConfiguration of manifests/admission, and waits until the API server heeds it."""
        text = (paths.ROOT / "manifests" / "admission" / "webhook.yaml").read_text()
        made = yaml.safe_load(text.replace("https://127.0.0.1:8444", f"https://localhost:{self.webhook.admission_port}"))
        made["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(certificates.server_ca.cert.read_bytes()).decode()
        self.kubectl.apply(made)
        token = self.provider.password("alice")

        def is_asked():
            self.kubectl.run("auth", "can-i", "get", "pods", token=token)
            return self.counted(ADMISSIONS, verdict="allow", reason="ok") > 0

        wait.until(is_asked, "the API server asks about changes")

    # ---- what is asked of it

    def client(self, token=None, certificate=None):
        return self.control_plane.client(token and sentinel.remember(token), certificate)

    def status(self, token, path=CONFIGMAPS):
        """The HTTP status that a request with this token gets."""
        client = self.client(token)
        try:
            return client.get(path).status
        finally:
            client.close()

    # ---- what has happened

    def counted(self, name, **labels):
        return self.webhook.metric(name, **labels) or 0

    def reason_of(self, act):
        """Does act(), which leads to one review, and gives its result and the review's audit record."""
        # The log is written after the answer: what came before must be in it.
        wait.until(lambda: self.counted("kube_introspect_audit_queue_bytes") == 0, "all records so far are written")
        before = len(self.webhook.audit_records())
        result = act()
        self.webhook.wait_records(before + 1)
        return result, self.webhook.audit_records()[before]

    def events(self):
        """The API server's audit log."""
        path = self.control_plane.audit_log()
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def wait_events(self, n, before, **fields):
        """Until n events after the first `before` have these fields; gives them."""

        def find():
            found = [event for event in self.events()[before:] if all(event.get(k) == v for k, v in fields.items())]
            return found if len(found) >= n else None

        return wait.until(find, lambda: f"{n} events with {fields} in {self.control_plane.audit_log()}")

    # ---- the end

    def stop(self):
        """The webhook must still run, and end with 0."""
        try:
            self.control_plane.stop()
            self.webhook.stop()
        finally:
            self.kill()

    def kill(self):
        if self.control_plane:
            self.control_plane.stop()
        self.webhook.kill()
