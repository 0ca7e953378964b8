"""Tokens in the forms of JWS and JWE. Nothing verifies their signatures: they only have to look right."""

import base64
import json

from . import sentinel


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header=None, **payload):
    """A JWT whose payload is the one given and whose signature is the sentinel."""
    head = {"alg": "RS256", "typ": "at+jwt"} if header is None else header
    return sentinel.remember(".".join([part(head), part(payload), part(sentinel.token().encode())]))


def encrypted():
    """A JWE in five parts: begins with eyJ like a JWT, and nobody but the provider can read it."""
    head = {"alg": "RSA-OAEP", "enc": "A256GCM"}
    body = part(sentinel.token().encode())
    return sentinel.remember(".".join([part(head), body, part(b"iv-iv-iv-iv-"), body, part(b"tag-tag-tag-tag-")]))
