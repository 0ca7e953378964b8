"""The configuration of a webhook under test, as a Python dictionary, and its writing as YAML."""

import copy

import yaml

from .provider import INTROSPECTION


class ABSENT:
    """As a value in changes: take the field away. A class, since copies of it are itself."""



# Changes of an issuer: our certificate in place of a secret.
BY_CERTIFICATE = {"introspection": {"client": {"method": "tls_client_auth", "secretFile": ABSENT,
                                               "certFile": "tls/provider-client.crt", "keyFile": "tls/provider-client.key"}}}


def merged(base, changes):
    """base with changes laid over it, field by field; lists are replaced."""
    result = copy.deepcopy(base)
    for name, value in changes.items():
        if value is ABSENT:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = copy.deepcopy(value)
    return result


def issuer(provider, changes=None, name="corp", discovery=False):
    """An issuer that talks to a scripted provider. discovery: the endpoint is not written but found."""
    base = {
        "name": name,
        "issuer": {"url": provider.url, "audiences": ["kubernetes"], "certificateAuthorityFile": "tls/provider-ca.crt"},
        "tokens": {"jwt": True, "opaque": True},
        "introspection": {
            "endpoint": provider.url + INTROSPECTION,
            "client": {"id": "kube-introspect", "method": "client_secret_basic", "secretFile": "secrets/client-secret"},
            "timeout": "9s",  # of a provider that is a thread of this very process, and below a caller's 10 s
            "budget": {"perSecond": 1000000, "burst": 1000000},  # what a test under load sends is no flood
        },
        "cache": {"ttl": "30s", "negativeTTL": "10s"},
        "claimMappings": {
            "username": {"claim": "preferred_username", "prefix": "corp:"},
            "groups": {"claim": "groups", "prefix": "corp:"},
            "uid": {"claim": "sub"},
        },
    }
    if discovery:
        del base["introspection"]["endpoint"]
    return merged(base, changes or {})


def webhook(issuers, authentication_port, operations_port, changes=None):
    base = {
        "apiVersion": "kube-introspect.io/v1alpha1",
        "kind": "WebhookConfiguration",
        "cluster": "test-1",
        "listeners": {
            "authentication": {
                "address": f"127.0.0.1:{authentication_port}",
                "tls": {"certFile": "tls/tls.crt", "keyFile": "tls/tls.key", "clientCAFile": "tls/client-ca.crt",
                        "clientNames": ["kube-apiserver"]},
            },
            "operations": {"address": f"127.0.0.1:{operations_port}"},
        },
        "issuers": issuers,
        "audit": {"path": "audit/audit.jsonl", "whenUnwritable": "Refuse"},
        "log": {"level": "debug", "format": "json"},
        "threads": 2,
    }
    return merged(base, changes or {})


def text(document):
    return yaml.safe_dump(document, sort_keys=False)
