"""Small phantoms with noise: pixel data that looks like something and differs from image to image."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_Array = np.ndarray[Any, np.dtype[np.float64]]


@functools.lru_cache(maxsize=16)
def _ellipse(matrix: int, width: float, height: float) -> _Array:
    """1 inside an ellipse around the middle, 0 outside; the axes are parts of the image."""
    y, x = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    ellipse: _Array = (np.hypot(x / width, y / height) <= 1.0).astype(np.float64)
    return ellipse


@functools.lru_cache(maxsize=8)
def _body(matrix: int) -> _Array:
    """Return an elliptic body of 1 with two lungs and a spine, as a CT slice shows them."""
    body = _ellipse(matrix, 0.9, 0.65)
    lung = _ellipse(matrix, 0.25, 0.4)
    shift = matrix // 5
    lungs = np.clip(np.roll(lung, shift, axis=1) + np.roll(lung, -shift, axis=1), 0, 1)
    spine = np.roll(_ellipse(matrix, 0.09, 0.09), matrix // 5, axis=0)
    picture: _Array = body - 0.8 * lungs * body + 0.6 * spine
    return picture


def slice_through_body(matrix: int, *, seed: int, frames: int = 1) -> bytes:
    """CT-like numbers from 0 (air) to about 1,600, to be read with a RescaleIntercept of -1024."""
    return _as_bytes(24 + 1000 * _body(matrix), 12, seed, frames)


def projection(matrix: int, *, seed: int, frames: int = 1, brightness: float = 1800) -> bytes:
    """Return a projection through an ellipsoid of water, 12 bits."""
    y, x = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    thickness = np.sqrt(np.clip(1 - (x / 0.8) ** 2 - (y / 0.9) ** 2, 0, None))
    return _as_bytes(200 + brightness * thickness, 20, seed, frames)


def counts(matrix: int, *, seed: int, frames: int = 1, peak: float = 40) -> bytes:
    """Poisson counts over a body, as a gamma camera or a PET scanner gives them."""
    rng = np.random.default_rng(seed)
    picture = peak * (_ellipse(matrix, 0.5, 0.9) + 2 * _ellipse(matrix, 0.12, 0.12)) + 1
    return rng.poisson(np.broadcast_to(picture, (frames, matrix, matrix))).astype("<u2").tobytes()


def total(data: bytes) -> int:
    """Return the sum of all pixels of 16 bits."""
    return int(np.frombuffer(data, dtype="<u2").sum())


def grey_bars(matrix: int, *, seed: int) -> bytes:
    """Return an 8 bit picture of bars, as a captured screen might be."""
    rng = np.random.default_rng(seed)
    bars = (np.arange(matrix) * 8 // matrix * 30)[None, :].repeat(matrix, axis=0)
    raw = (bars + rng.integers(0, 8, (matrix, matrix))).astype(np.uint8).tobytes()
    return raw + b"\0" * (len(raw) % 2)


def _as_bytes(picture: _Array, noise: float, seed: int, frames: int) -> bytes:
    rng = np.random.default_rng(seed)
    noisy = picture + rng.normal(0, noise, (frames, *picture.shape))
    return np.clip(noisy, 0, 4095).astype("<u2").tobytes()
