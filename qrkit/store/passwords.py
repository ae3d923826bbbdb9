"""Passwords as stored: hashed by Argon2id (RFC 9106) with its parameters and salt, never as typed.

Earlier versions stored scrypt hashes (RFC 7914). They are still accepted, and replaced at the next login.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from base64 import b64decode
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from qrkit.errors import InputError

LEAST = 8
"""Characters that a password needs."""

_HASHER = PasswordHasher()
_SCRYPT_MEMORY = 128 * 8 * (2**15 + 2) + 2**20


def hash_password(password: str) -> str:
    """Return the hash of a password with its parameters and salt.

    Raises
    ------
    InputError
        If it is too short.
    """
    if len(password) < LEAST:
        raise InputError(f"A password needs at least {LEAST} characters.")
    return _HASHER.hash(_normalized(password))


def is_password(password: str, stored: str) -> bool:
    """Whether this is the password of a stored hash.

    >>> is_password("correct horse", hash_password("correct horse")), is_password("wrong", hash_password("12345678"))
    (True, False)
    """
    if stored.startswith("scrypt$"):
        return _is_scrypt_password(password, stored)
    try:
        return _HASHER.verify(stored, _normalized(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a stored hash is older than the current method or parameters.

    >>> is_outdated(hash_password("correct horse")), is_outdated("scrypt$32768$8$1$AA==$AA==")
    (False, True)
    """
    return stored.startswith("scrypt$") or _HASHER.check_needs_rehash(stored)


@cache
def unknown_hash() -> str:
    """Return a hash to compare with if there is no such account, so that the time does not show that."""
    return _HASHER.hash(secrets.token_bytes(LEAST))


def _is_scrypt_password(password: str, stored: str) -> bool:
    _, cost, block, parallel, salt, wanted = stored.split("$")
    found = hashlib.scrypt(
        _normalized(password),
        salt=b64decode(salt),
        n=int(cost),
        r=int(block),
        p=int(parallel),
        maxmem=_SCRYPT_MEMORY,
        dklen=32,
    )
    return hmac.compare_digest(found, b64decode(wanted))


def _normalized(password: str) -> bytes:
    # The same letter may be typed as one character or as two; see NFKC in RFC 8265.
    return unicodedata.normalize("NFKC", password).encode()
