"""Log-mel features of speech in exact integer arithmetic: from 16-bit samples to the input of a network.

Frame t holds ``frame`` samples, and begins ``hop`` samples after the one before it. With s its samples, N
their number and k = 1 .. N/2 - 1 the bins of a Fourier transform:

    re_k = sum_n C_kn s_n,  C_kn = round(2**10 w_n cos(2 pi k n / N))       w: Hann, im_k likewise with sin
    P_k  = (re_k >> 12)**2 + (im_k >> 12)**2
    E_j  = sum_k M_jk P_k,  M_jk = round(2**6 triangle_j(k))                j = 0 .. bands - 1
    L_j  = floor(16 log2(max(E_j, 1)))                                      sixteenths of an octave of energy
    x_j  = clip((L_j - floor) // step, 0, 2**b - 1)

The triangles have equal distances on the mel scale ``2595 log10(1 + f / 700)``; the ends of each are at the
centres of its neighbours. ``>>`` is the flooring shift. All values are integers, so the features are the same
on every machine: L_j is computed from the position of the leading one and a table of 16 entries. The features
of a frame do not depend on later frames, so they can be computed while a word is spoken.

(Davis and Mermelstein 1980 for the mel bands; the integer form is this project's.)
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["OCTAVE", "FrontEnd", "log2_sixteenths"]

IntArray = NDArray[np.int64]

# Units of L in an octave of energy (3 dB).
OCTAVE = 16
_TRANSFORM_BITS = 10
_POWER_SHIFT = 12
_BAND_BITS = 6


def _ceil_root(value: int, degree: int) -> int:
    """Return the smallest integer r with ``r**degree >= value``."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < value else (low, middle)
    return low


# 2**(52 + j / 16), rounded up: thresholds for a mantissa of 53 bits.
_MANTISSAS = np.array([_ceil_root(1 << (52 * OCTAVE + j), OCTAVE) for j in range(OCTAVE)], dtype=np.int64)


def log2_sixteenths(energy: NDArray[np.float64]) -> IntArray:
    """Return ``floor(16 log2(max(e, 1)))``, exactly, for integers below 2**53 held in float64."""
    mantissa, exponent = np.frexp(np.maximum(energy, 1.0))
    place = np.searchsorted(_MANTISSAS, (mantissa * 2.0**53).astype(np.int64), side="right") - 1
    return np.asarray(OCTAVE * (exponent.astype(np.int64) - 1) + place, dtype=np.int64)


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: float) -> float:
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)


@dataclass(frozen=True)
class FrontEnd:
    """The front end with its sizes.

    Attributes:
        bands: number of mel bands, which is m of the network, 1 to 64.
        bits: bits b of an entry, unsigned, 1 to 8.
        rate: samples a second.
        frame: samples N of a frame, even, 16 to 1024.
        hop: samples from the start of a frame to the next, 1 to ``frame``.
        low, high: limits of the bands in Hz; ``high`` is at most half the rate.
        floor: L that becomes 0, in sixteenths of an octave.
        step: quantization step of L, in sixteenths of an octave.
    """

    bands: int = 24
    bits: int = 4
    rate: int = 8000
    frame: int = 256
    hop: int = 240
    low: int = 100
    high: int = 3800
    floor: int = 288
    step: int = 18

    def __post_init__(self) -> None:
        limits = {
            "bands": (1, 64),
            "bits": (1, 8),
            "rate": (1000, 192000),
            "frame": (16, 1024),
            "hop": (1, self.frame),
            "low": (0, self.high - 1),
            "high": (1, self.rate // 2),
            "floor": (0, 800),
            "step": (1, 800),
        }
        for name, (first, last) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not first <= value <= last:
                raise FormatError(f"{name} of the front end must be {first} to {last}, not {value!r}")
        if self.frame % 2:
            raise FormatError(f"frame of the front end must be even, not {self.frame}")
        empty = np.flatnonzero(self.band_weights.sum(axis=1) == 0)
        if len(empty):
            raise FormatError(
                f"bands of the front end must be fewer, not {self.bands}: band {int(empty[0])} has no bin "
                f"of a frame of {self.frame} samples"
            )

    @cached_property
    def transform(self) -> IntArray:
        """C of the bins 1 to N/2 - 1: the rows of cosines, then those of sines, (N - 2, N)."""
        n = np.arange(self.frame)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / self.frame)
        angle = 2 * np.pi * np.outer(np.arange(1, self.frame // 2), n) / self.frame
        both = np.concatenate([np.cos(angle), np.sin(angle)]) * window
        return np.rint(both * (1 << _TRANSFORM_BITS)).astype(np.int64)

    @cached_property
    def band_weights(self) -> IntArray:
        """M, (bands, N/2 - 1)."""
        bottom, top = _mel(self.low), _mel(self.high)
        corners = [
            _hertz(bottom + (top - bottom) * i / (self.bands + 1)) * self.frame / self.rate
            for i in range(self.bands + 2)
        ]
        k = np.arange(1, self.frame // 2)
        rows = [
            np.minimum((k - left) / (centre - left), (right - k) / (right - centre))
            for left, centre, right in zip(corners, corners[1:], corners[2:], strict=False)
        ]
        rounded: IntArray = np.rint(np.maximum(rows, 0.0) * (1 << _BAND_BITS)).astype(np.int64)
        return rounded

    def frames(self, samples: int) -> int:
        """Return the number of frames of ``samples`` samples, at least 1; the first one is padded."""
        return 1 + max(0, -(-(samples - self.frame) // self.hop))

    def cut(self, samples: IntArray) -> NDArray[np.float64]:
        """Return the frames of a recording, (frames, N).

        The last frame ends with the last sample; zeros before the first sample fill the first frame.

        Args:
            samples: 16-bit integers (samples,).
        """
        count = self.frames(len(samples))
        padded = np.zeros(self.frame + (count - 1) * self.hop)
        if len(samples):
            padded[-len(samples) :] = samples
        return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, self.frame)[:: self.hop])

    def log_energies(self, frames: NDArray[np.float64]) -> IntArray:
        """Return L of frames (count, N) as (count, bands)."""
        # Exact in float64: sums below 2**34, powers below 2**45, energies below 2**53.
        parts = np.floor(frames @ self._transform_t * 2.0**-_POWER_SHIFT)
        half = parts.shape[1] // 2
        power = parts[:, :half] ** 2 + parts[:, half:] ** 2
        return log2_sixteenths(power @ self._bands_t)

    @cached_property
    def _transform_t(self) -> NDArray[np.float64]:
        return self.transform.T.astype(np.float64)

    @cached_property
    def _bands_t(self) -> NDArray[np.float64]:
        return self.band_weights.T.astype(np.float64)

    def quantized(self, log_energies: IntArray) -> IntArray:
        """Return x of L, of the same shape."""
        levels = (log_energies - self.floor) // self.step
        clipped: IntArray = np.clip(levels, 0, (1 << self.bits) - 1).astype(np.int64)
        return clipped

    def features(self, samples: IntArray) -> IntArray:
        """Return x of all frames of a recording, (frames, bands), integers of ``bits`` bits."""
        return self.quantized(self.log_energies(self.cut(samples)))
