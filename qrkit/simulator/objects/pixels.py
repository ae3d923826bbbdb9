"""Small phantoms with noise: pixel data that looks like something and differs from image to image.

Pictures and noise are made once for each size; an image takes its own part of the noise. So a full 512 x 512
slice costs half a millisecond rather than six, and sending is not held up by making.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_Picture = np.ndarray[Any, np.dtype[np.float32]]


@functools.lru_cache(maxsize=16)
def _ellipse(matrix: int, width: float, height: float) -> _Picture:
    """Return 1 inside an ellipse around the middle, 0 outside; the axes are parts of the image."""
    y, x = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    ellipse: _Picture = (np.hypot(x / width, y / height) <= 1.0).astype(np.float32)
    return ellipse


@functools.lru_cache(maxsize=8)
def _body(matrix: int) -> _Picture:
    """Return an elliptic body with two lungs and a spine, as a CT slice shows them."""
    body = _ellipse(matrix, 0.9, 0.65)
    lung = _ellipse(matrix, 0.25, 0.4)
    shift = matrix // 5
    lungs = np.clip(np.roll(lung, shift, axis=1) + np.roll(lung, -shift, axis=1), 0, 1)
    spine = np.roll(_ellipse(matrix, 0.09, 0.09), matrix // 5, axis=0)
    picture: _Picture = np.float32(24) + 1000 * (body - 0.8 * lungs * body + 0.6 * spine)
    return picture


@functools.lru_cache(maxsize=8)
def _water(matrix: int, brightness: float) -> _Picture:
    """Return a projection through an ellipsoid of water."""
    y, x = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    thickness = np.sqrt(np.clip(1 - (x / 0.8) ** 2 - (y / 0.9) ** 2, 0, None))
    picture: _Picture = (200 + brightness * thickness).astype(np.float32)
    return picture


@functools.lru_cache(maxsize=8)
def _tracer(matrix: int, peak: float) -> _Picture:
    """Return the mean counts over a body with one hot spot."""
    picture: _Picture = peak * (_ellipse(matrix, 0.5, 0.9) + 2 * _ellipse(matrix, 0.12, 0.12)) + 1
    return picture


@functools.lru_cache(maxsize=4)
def _noise(matrix: int) -> _Picture:
    """Return standard normal noise for two images, of which each image takes one part."""
    noise: _Picture = np.random.default_rng(1).standard_normal(2 * matrix * matrix, dtype=np.float32)
    return noise


def _own_noise(matrix: int, seed: int) -> _Picture:
    """Return the noise of one image: another part of the field for every seed."""
    size = matrix * matrix
    start = seed * 2_654_435_761 % size  # a multiplier without a pattern (Knuth 6.4)
    return _noise(matrix)[start : start + size].reshape(matrix, matrix)


def slice_through_body(matrix: int, *, seed: int) -> bytes:
    """Return CT-like numbers from 0 (air) to about 1,600, to be read with a RescaleIntercept of -1024."""
    return _as_bytes(_body(matrix) + 12 * _own_noise(matrix, seed))


def projection(matrix: int, *, seed: int, frames: int = 1, brightness: float = 1800) -> bytes:
    """Return projections through an ellipsoid of water, 12 bits."""
    picture = _water(matrix, brightness)
    return b"".join(_as_bytes(picture + 20 * _own_noise(matrix, seed + frame)) for frame in range(frames))


def counts(matrix: int, *, seed: int, frames: int = 1, peak: float = 40) -> bytes:
    """Return counts over a body, with a spread of their square root, as a gamma camera or PET gives them."""
    mean = _tracer(matrix, peak)
    spread: _Picture = np.sqrt(mean)
    return b"".join(_as_bytes(mean + spread * _own_noise(matrix, seed + frame)) for frame in range(frames))


def grey_bars(matrix: int, *, seed: int) -> bytes:
    """Return an 8 bit picture of bars, as a captured screen might be."""
    bars = (np.arange(matrix) * 8 // matrix * 30)[None, :].repeat(matrix, axis=0)
    picture = np.clip(bars + 12 + 3 * _own_noise(matrix, seed), 0, 255)
    raw: bytes = picture.astype(np.uint8).tobytes()
    return raw + b"\0" * (len(raw) % 2)


def total(data: bytes) -> int:
    """Return the sum of all pixels of 16 bits."""
    return int(np.frombuffer(data, dtype="<u2").sum())


def _as_bytes(picture: _Picture) -> bytes:
    raw: bytes = np.clip(picture, 0, 4095).astype("<u2").tobytes()
    return raw
