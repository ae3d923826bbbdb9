"""When a number of answers looks as if the node had cut it off.

Many PACS answer a large C-FIND with the first 200, 500 or 1,000 matches and then report success. Nothing in the
protocol tells that apart from a complete answer but the number itself.
"""

from __future__ import annotations


def cap_reason(count: int) -> str:
    """Return why a number of answers is suspicious, or an empty text.

    Suspicious are round numbers, from 100, and powers of two, from 128. The larger the number, the rounder it has to
    be: any multiple of 100 up to 1,000, of 500 up to 10,000, of 1,000 beyond.

    >>> cap_reason(200)
    '200 answers are a multiple of 100, as if the node had stopped there'
    >>> cap_reason(4096)
    '4096 answers are a power of two, as if the node had stopped there'
    >>> cap_reason(1100), cap_reason(99), cap_reason(0)
    ('', '', '')
    """
    if count >= 128 and count & (count - 1) == 0:
        return f"{count} answers are a power of two, as if the node had stopped there"
    step = 100 if count <= 1_000 else 500 if count <= 10_000 else 1_000
    if count >= 100 and count % step == 0:
        return f"{count} answers are a multiple of {step}, as if the node had stopped there"
    return ""


def looks_capped(count: int) -> bool:
    """Whether a number of answers looks as if the node had stopped there.

    >>> [count for count in (99, 100, 128, 499, 500, 1100, 1500, 12_000, 12_500) if looks_capped(count)]
    [100, 128, 500, 1500, 12000]
    """
    return bool(cap_reason(count))
