"""The demo provider does what the other tests rely on."""

import subprocess

from demo_provider import BASIC, CROWD, ELSEWHERE, JWT, Client
from lib import paths, wait


def test_introspection_shows_the_groups_of_now(provider):
    token = provider.password("carol")
    assert provider.introspect(token)["groups"] == ["platform-admins", "developers"]
    provider.set_groups("carol", ["x"])
    assert provider.introspect(token)["groups"] == ["x"]
    provider.set_groups("carol", ["platform-admins", "developers"])


def test_the_resource_decides_audience_and_form(provider):
    assert provider.introspect(provider.password())["aud"] == "kubernetes"
    assert provider.introspect(provider.password(resource=ELSEWHERE))["aud"] == "elsewhere"
    assert provider.password(resource=JWT).count(".") == 2
    assert "aud" not in provider.introspect(provider.password(resource=None))


def test_a_revoked_token_is_inactive(provider):
    token = provider.password()
    provider.revoke(token)
    assert provider.introspect(token) == {"active": False}


def test_a_wrong_secret_or_password_is_refused(provider):
    assert provider.request("POST", "/token/introspection", {"token": "t"}, basic=(BASIC.id, "wrong")).status == 401
    wrong = {"grant_type": "password", "username": "alice", "password": "bob"}
    assert provider.request("POST", "/token", wrong, basic=("kubectl", "kubectl-secret")).status == 400


def test_a_secret_that_was_changed_is_good_at_once_and_the_old_one_for_nothing(own_provider):
    provider, tomorrow = own_provider(), Client(BASIC.id, BASIC.method, "Jx6-a-secret-of-tomorrow-3Vk")
    token = provider.password()
    provider.set_secret(tomorrow, tomorrow.secret)
    answers = [provider.request("POST", "/token/introspection", {"token": token}, basic=(client.id, client.secret))
               for client in (BASIC, tomorrow)]
    assert [answer.status for answer in answers] == [401, 200] and answers[1].json()["active"] is True


def test_it_has_a_crowd_of_different_people(provider):
    people = [provider.introspect(provider.password(user)) for user in (CROWD[0], CROWD[-1])]
    assert [person["preferred_username"] for person in people] == [CROWD[0], CROWD[-1]]
    assert people[0]["sub"] != people[1]["sub"] and all("developers" in person["groups"] for person in people)


def test_it_ends_with_its_parent(own_provider):
    provider = own_provider()
    provider.process.stdin.close()
    assert provider.process.wait(10 * wait.SLOWNESS) == 0


def test_it_says_where_certificates_are_missing():
    done = subprocess.run([paths.ROOT / "hack/provider/start.sh", "--certs", "/nonexistent"], capture_output=True, text=True)
    assert done.returncode != 0 and "/nonexistent" in done.stderr and not done.stdout
