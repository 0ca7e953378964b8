"""What manifests/ renders is what a real API server takes, without a word of warning, and what the program can be started with."""

import copy
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from control_plane import ControlPlane, Etcd
from kubectl import Kubectl
from lib import paths, wait
from lib.webhook import command

NAMESPACE = "kube-introspect"
COMPONENTS = ("admission", "alerts", "cert-manager", "service-monitor")
FOLDERS = ("base", "overlays/in-cluster", "overlays/kind", "static-pod", "overlays/static-pod", "admission", "overlays/watching")
WITH_COMPONENTS = "in-cluster-with-components"
IN_CLUSTER = ("base", "overlays/in-cluster", "overlays/kind", WITH_COMPONENTS)
STATIC = ("static-pod", "overlays/static-pod")


@pytest.fixture(scope="module")
def rendered(folder, programs):
    """A function: the file that a folder of manifests/ renders to."""
    target = folder / "rendered"
    done = subprocess.run([paths.ROOT / "hack" / "render-manifests.sh", target], capture_output=True, text=True,
                          env={**os.environ, "KUBECTL": str(programs / "kubectl")})
    assert done.returncode == 0, done.stdout + done.stderr
    _render_with_components(programs, target)
    return lambda name: target / f"{name.replace('/', '-')}.yaml"


def _render_with_components(programs, target):
    """As an admin has it who uncomments them in a copy of the overlay."""
    folder = target / WITH_COMPONENTS
    folder.mkdir()
    manifests = Path(os.path.relpath(paths.ROOT / "manifests", folder.resolve()))
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [str(manifests / "overlays" / "in-cluster")],
        "components": [str(manifests / "components" / name) for name in COMPONENTS]}))
    done = subprocess.run([programs / "kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    (target / f"{WITH_COMPONENTS}.yaml").write_text(done.stdout)


@pytest.fixture(scope="module")
def own_etcd(folder, programs):
    """The search for secrets passes it over by its name: cert-manager's definitions speak of a "ClientSecret"."""
    made = Etcd(folder / "etcd-of-definitions", programs)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def kubectl(folder, programs, own_etcd, certificates, cluster_certificates, rendered):
    """For an API server of these tests alone: the definitions of the components' kinds stay in it."""
    control_plane = ControlPlane(folder / "manifests" / "api-server", programs, own_etcd, certificates, cluster_certificates, "https://localhost:1",
                                 {"service-cluster-ip-range": "10.96.0.0/16"})
    try:
        made = Kubectl(control_plane, folder / "manifests")
        definitions = subprocess.run([paths.ROOT / "hack" / "crds.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        # Server-side: the note that the other way leaves on an object is too long for them.
        made.as_admin("apply", "--server-side", f"--filename={definitions}")
        made.as_admin("wait", "--for=condition=Established", f"--filename={definitions}", "--timeout=30s")
        made.apply(*(each for each in documents(rendered("base")) if each["kind"] in ("Namespace", "ServiceAccount")))
        # What kube-controller-manager would make.
        wait.until(lambda: made.run("get", "namespace", "kube-system", kubeconfig=made.admin).returncode == 0, "kube-system is there")
        made.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "kube-system"}})
        yield made
    finally:
        control_plane.stop()


def documents(file):
    return list(yaml.safe_load_all(file.read_text()))


def the(kind, file):
    (found,) = [each for each in documents(file) if each["kind"] == kind]
    return found


def dry_run(kubectl, *arguments, stdin=None):
    return kubectl.run("apply", "--dry-run=server", *arguments, kubeconfig=kubectl.admin, stdin=stdin)


def pod_of(deployment):
    template = deployment["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
            "metadata": {"name": "of-the-template", "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}}


# ---- what the API server says


@pytest.mark.parametrize("name", [*FOLDERS, WITH_COMPONENTS])
def test_the_api_server_accepts_it_without_a_warning(kubectl, rendered, name):
    done = dry_run(kubectl, f"--filename={rendered(name)}")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert len(done.stdout.splitlines()) == len(documents(rendered(name))), done.stdout


def test_a_field_that_does_not_exist_would_have_been_noticed(kubectl, rendered):
    deployment = the("Deployment", rendered("base"))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    done = dry_run(kubectl, "--filename=-", stdin=yaml.safe_dump(deployment))
    assert done.returncode != 0 and "livenessProb" in done.stderr, done.stderr


@pytest.mark.parametrize("name", IN_CLUSTER)
def test_the_restricted_profile_admits_the_pod(kubectl, rendered, name):
    done = dry_run(kubectl, "--filename=-", stdin=yaml.safe_dump(pod_of(the("Deployment", rendered(name)))))
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("missing", ("runAsNonRoot", "seccompProfile", "capabilities", "allowPrivilegeEscalation"))
def test_the_restricted_profile_refuses_the_pod_without_one_of_its_settings(kubectl, rendered, missing):
    pod = copy.deepcopy(pod_of(the("Deployment", rendered("base"))))
    for context in (pod["spec"]["securityContext"], pod["spec"]["containers"][0]["securityContext"]):
        context.pop(missing, None)
    done = dry_run(kubectl, "--filename=-", stdin=yaml.safe_dump(pod))
    assert done.returncode != 0 and "violates PodSecurity" in done.stderr, done.stderr


@pytest.mark.parametrize("name", IN_CLUSTER)
def test_the_pod_gets_no_token_of_the_cluster(kubectl, rendered, name):
    """Admission adds the volume of a token where nobody said no."""
    done = dry_run(kubectl, "--filename=-", "--output=json", stdin=yaml.safe_dump(pod_of(the("Deployment", rendered(name)))))
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)["spec"]["volumes"]] == ["config"]


@pytest.mark.parametrize("name", STATIC)
def test_the_static_pod_refers_to_nothing_that_only_an_api_server_has(rendered, name):
    (pod,) = documents(rendered(name))
    assert "serviceAccountName" not in pod["spec"]
    assert all(set(volume) == {"name", "hostPath"} for volume in pod["spec"]["volumes"])
    assert not any("env" in container or "envFrom" in container for container in pod["spec"]["containers"])


# ---- what goes together


@pytest.mark.parametrize("name", IN_CLUSTER)
def test_a_changed_configuration_rolls_the_pods(rendered, name):
    config = the("ConfigMap", rendered(name))
    assert config["immutable"] is True and config["metadata"]["name"].startswith("kube-introspect-config-")
    (volume,) = the("Deployment", rendered(name))["spec"]["template"]["spec"]["volumes"]
    assert volume["projected"]["sources"][0]["configMap"]["name"] == config["metadata"]["name"]


def test_cert_manager_makes_the_secrets_that_the_pod_mounts(rendered):
    file = rendered(WITH_COMPONENTS)
    (volume,) = the("Deployment", file)["spec"]["template"]["spec"]["volumes"]
    mounted = {source["secret"]["name"] for source in volume["projected"]["sources"] if "secret" in source}
    made = {each["spec"]["secretName"] for each in documents(file) if each["kind"] == "Certificate"}
    assert mounted - made == {"kube-introspect-provider", "kube-introspect-handle"}


def test_the_service_monitor_selects_the_metrics_service_alone(rendered):
    file = rendered(WITH_COMPONENTS)
    wanted = the("ServiceMonitor", file)["spec"]["selector"]["matchLabels"].items()
    services = [each for each in documents(file) if each["kind"] == "Service"]
    assert [each["metadata"]["name"] for each in services if wanted <= each["metadata"]["labels"].items()] == ["kube-introspect-metrics"]


# ---- what the program says


@pytest.fixture(scope="module")
def sources(certificates):
    """What manifests/README.md has the admin make: the content of each key."""
    return {"kube-introspect-tls": {"tls.crt": certificates.server.cert, "tls.key": certificates.server.key},
            "kube-introspect-client-ca": {"ca.crt": certificates.client_ca.cert},
            "kube-introspect-provider-ca": {"ca.crt": certificates.provider_ca.cert},
            "kube-introspect-provider": {"client-secret": b"a secret of tests\n"},
            "kube-introspect-handle": {"handle-key": b"a key of tests, of 32 characters\n"}}


def lay_out(folder, deployment, config, sources):
    """The files of the pod's volume, as the kubelet would put them there."""
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    for source in volume["projected"]["sources"]:
        (projection,) = source.values()
        if "items" not in projection:
            (folder / "config.yaml").write_text(config["data"]["config.yaml"])
        for item in projection.get("items", ()):
            content = sources[projection["name"]][item["key"]]
            target = folder / item["path"]
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())


@pytest.mark.parametrize("name", IN_CLUSTER)
def test_the_configuration_is_good(tmp_path, rendered, sources, name):
    deployment = the("Deployment", rendered(name))
    lay_out(tmp_path, deployment, the("ConfigMap", rendered(name)), sources)
    assert_good(tmp_path)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    listeners = yaml.safe_load((tmp_path / "config.yaml").read_text())["listeners"]
    ports = {each["name"]: f"0.0.0.0:{each['containerPort']}" for each in container["ports"]}
    # The component brings the port; the listener is for the overlay's own config.yaml.
    assert ports.pop("admission", "0.0.0.0:8444") == "0.0.0.0:8444"
    assert ports == {"https": listeners["authentication"]["address"], "operations": listeners["operations"]["address"]}
    assert container["volumeMounts"] == [{"name": "config", "mountPath": "/etc/kube-introspect", "readOnly": True}]


def test_the_configuration_of_the_static_pod_is_good(tmp_path, rendered, sources):
    text = (paths.ROOT / "manifests" / "static-pod" / "config.yaml").read_text()
    for name, content in {"tls/tls.crt": sources["kube-introspect-tls"]["tls.crt"], "tls/tls.key": sources["kube-introspect-tls"]["tls.key"],
                          "tls/client-ca.crt": sources["kube-introspect-client-ca"]["ca.crt"]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.read_bytes())
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "client-secret").write_bytes(sources["kube-introspect-provider"]["client-secret"])
    (tmp_path / "config.yaml").write_text(text)
    assert_good(tmp_path)
    (container,) = documents(rendered("static-pod"))[0]["spec"]["containers"]
    probe, operations = container["livenessProbe"]["httpGet"], yaml.safe_load(text)["listeners"]["operations"]
    assert operations["address"] == f"{probe['host']}:{probe['port']}"


def assert_good(folder):
    done = command("check", "--config", folder / "config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
