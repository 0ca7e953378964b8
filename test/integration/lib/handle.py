"""Handles, made and taken apart as webhook/core/handle.h says: a second implementation, for tests that forge them."""

import base64
import hashlib
import hmac
import struct
import time

from . import sentinel

KEY = "kube-introspect.io/handle"
CREDENTIAL = "kube-introspect.io/credential"
# What a Folder's secrets/handle-key holds: the first line signs.
LINE, OLD_LINE = (sentinel.secret(f"handle-{word}") for word in ("new", "old"))
# A configuration's handle, as most tests here have it.
HANDLE = {"keyFile": "secrets/handle-key", "recheckAfter": "5m"}


def _mac(key, parts):
    return hmac.new(key, b"".join(struct.pack(">Q", len(part)) + part for part in parts), hashlib.sha256).digest()


def _hint(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2 ** 32
    return struct.pack(">I", value)


def _encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fact_key(handle):
    """The 32 bytes that name what the provider said."""
    return decode(handle.split(".")[2])


def sign(key, username, uid="", cluster="test-1", line=LINE, at=None):
    """A handle for a fact's key, issued now or at a time."""
    issued = str(int(time.time() if at is None else at))
    hints = _hint(username) + _hint(uid) + _hint(cluster)
    secret = _mac(line.encode(), [b"kube-introspect handle 1"])
    mac = _mac(secret, [b"1", issued.encode(), key, hints, username.encode(), uid.encode(), cluster.encode()])
    return ".".join(["1", issued, _encode(key), _encode(hints), _encode(mac)])
