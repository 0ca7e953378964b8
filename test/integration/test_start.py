"""The start: refused on a bad configuration, by file, line and column, with the way out."""

import re
import signal
import socket

import pytest

from lib import configuration, handle, paths, ports, wait
from lib.configuration import ABSENT
from lib.webhook import Folder, command

BAD = sorted(paths.BAD_CONFIGURATIONS.glob("*.yaml"))


@pytest.fixture
def folder(run, certificates, request):
    return Folder(run.folder(re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:48]), certificates)


def write(folder, provider, issuer=None, changes=None):
    document = configuration.webhook([configuration.issuer(provider, issuer)], ports.free(), ports.free(), changes)
    folder.configure(document)
    return folder.config


def refused(config):
    """serve with this configuration must end by itself; gives what it said."""
    done = command("serve", "--config", config)
    assert done.returncode == 1, f"expected exit status 1, got {done.returncode}: {done.stderr}"
    return done.stderr


def expected_of(path):
    """The first line of each file says what must come of it."""
    return path.read_bytes().splitlines()[0].decode().removeprefix("# expect ")


def test_there_are_at_least_forty_bad_configurations():
    assert len(BAD) >= 40


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_check_refuses_a_bad_configuration_by_line_and_column(path):
    done = command("check", "--config", path)
    assert done.returncode == 1, f"expected exit status 1, got {done.returncode}: {done.stdout}{done.stderr}"
    assert done.stderr.strip() == f"{path}:{expected_of(path)}"


@pytest.mark.parametrize("path", BAD[::8], ids=lambda path: path.stem)
def test_serve_refuses_a_bad_configuration_in_the_same_words(path):
    assert f"{path}:{expected_of(path)}" in refused(path)


FILES = {
    "tls/tls.crt": "listeners.authentication.tls.certFile",
    "tls/tls.key": "listeners.authentication.tls.keyFile",
    "tls/client-ca.crt": "listeners.authentication.tls.clientCAFile",
    "tls/provider-ca.crt": "issuers[0].issuer.certificateAuthorityFile",
    "secrets/client-secret": "issuers[0].introspection.client.secretFile",
    "secrets/handle-key": "handle.keyFile",
}


@pytest.mark.parametrize("content", [None, "", "no PEM\n\n\n"], ids=["missing", "empty", "wrong"])
@pytest.mark.parametrize("name", FILES)
def test_a_named_file_that_is_of_no_use_is_refused_by_field_and_path(folder, provider, name, content):
    config = write(folder, provider, changes={"handle": handle.HANDLE})
    if content is None:
        (folder.path / name).unlink()
    else:
        folder.write(name, content)
    if name == "secrets/client-secret" and content:
        folder.write(name, "one\ntwo\nthree\n")
    for said in (refused(config), command("check", "--config", config).stderr):
        field = FILES[name]
        assert name in said and (field in said or field.rsplit(".", 1)[0] in said), f"expected {field} and {name} in: {said}"


def test_a_key_of_another_certificate_is_refused(folder, provider, certificates):
    config = write(folder, provider)
    folder.copy(certificates.server_renewed.key, "tls/tls.key")
    assert "does not belong" in refused(config)


def test_a_missing_configuration_is_refused(folder):
    said = refused(folder.path / "config.yaml")
    assert "config.yaml" in said and "No such file" in said


def test_an_address_that_is_taken_is_refused(folder, provider):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused(write(folder, provider, changes={"listeners": {"authentication": {"address": address}}}))
    assert "listeners.authentication" in said and "in use" in said, said


def test_a_secret_in_the_file_itself_is_not_repeated_in_the_message(folder, provider):
    said = refused(write(folder, provider, {"introspection": {"client": {"secret": "misplaced-words"}}}))
    assert "secret" in said and "misplaced-words" not in said


def test_it_starts_and_is_ready_without_its_provider(provider, start):
    provider.stop()
    webhook = start(provider)
    assert webhook.is_ready()


def test_a_provider_that_is_away_does_not_stop_the_start_with_discovery(provider, start):
    provider.stop()
    webhook = start(provider, discovery=True, ready=False)
    webhook.wait_live()


def test_paths_are_relative_to_the_configuration_and_not_to_the_working_folder(folder, provider):
    assert command("check", "--config", write(folder, provider), cwd="/").returncode == 0


def test_warnings_are_said_at_the_start(provider, start):
    webhook = start(provider, {"introspection": {"absentTokenType": "Accept"}, "tokens": {"clientIDs": ABSENT}})
    webhook.wait_log("absentTokenType", "warning")


def test_sighup_and_sigterm_right_after_the_start_are_not_lost(provider, start):
    webhook = start(provider, ready=False)
    webhook.signal(signal.SIGHUP)
    wait.until(lambda: webhook.generation() == 2, f"the reload has happened; log {webhook.log}")
