"""Passwords as they are kept: salted and hashed by scrypt (RFC 7914), never as they were typed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from base64 import b64decode, b64encode

from qrkit.errors import InputError

LEAST = 8
"""Characters that a password needs."""

_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY = 128 * _BLOCK * (_COST + 2) + 2**20
_SALT = 16


def hash_password(password: str) -> str:
    """Return what is kept of a password: the parameters, the salt and the hash, parted by ``$``.

    Raises
    ------
    InputError
        If it is too short.
    """
    if len(password) < LEAST:
        raise InputError(f"A password needs at least {LEAST} characters.")
    salt = secrets.token_bytes(_SALT)
    return "$".join(
        ["scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(salt), _text(_scrypt(password, salt, _COST))]
    )


def is_password(password: str, kept: str) -> bool:
    """Whether this is the password of which `kept` is kept; it takes as long if it is not.

    >>> is_password("correct horse", hash_password("correct horse")), is_password("wrong", hash_password("12345678"))
    (True, False)
    """
    kind, cost, block, parallel, salt, wanted = kept.split("$")
    if (kind, int(block), int(parallel)) != ("scrypt", _BLOCK, _PARALLEL):
        return False
    return hmac.compare_digest(_scrypt(password, b64decode(salt), int(cost)), b64decode(wanted))


_NOTHING = "AAAAAAAAAAAAAAAAAAAAAA=="
NOBODYS = f"scrypt${_COST}${_BLOCK}${_PARALLEL}${_NOTHING}${_NOTHING}"
"""What is kept of no password: compared with where there is no account, so that nobody learns that there is none."""


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    # The same letter may be typed as one character or as two; see NFKC in RFC 8265.
    plain = unicodedata.normalize("NFKC", password).encode()
    return hashlib.scrypt(plain, salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32)


def _text(value: bytes) -> str:
    return b64encode(value).decode()
