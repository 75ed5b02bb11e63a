"""Random fields that have a known smoothness, and what tiles and slides share."""

from dataclasses import dataclass

import numpy as np
import scipy.fft


@dataclass(frozen=True)
class Scene:
    """A run of tiles: attention and feature maps that are related only as far as stated.

    Attributes
    ----------
    size : int
        Cells a side of every map.
    length : float
        Correlation length over the side: the correlation of two cells at distance d is
        ``exp(-d**2 / (2 * (length * size)**2))``.
    border : float
        Height of one pattern at the border of every map, attention and feature, in standard
        deviations of the field.
    rho : float
        Correlation of a tile's attention with its feature, the border aside.
    slides : tuple of int
        Tiles of each slide; a share `common` of the variance is the slide's own. Without slides
        all tiles are independent.
    common : float
        See `slides`.
    """

    size: int
    length: float
    border: float = 0.0
    rho: float = 0.0
    slides: tuple[int, ...] = ()
    common: float = 0.5

    def draw(self, rng: np.random.Generator, tiles: int) -> tuple[np.ndarray, np.ndarray]:
        """Attention and feature maps of the tiles of one run, of shape (tiles, size, size)."""
        own, other = (self._fields(rng, tiles) for _ in range(2))
        feature = self.rho * own + np.sqrt(1 - self.rho**2) * other
        artifact = self.border * border_pattern(self.size)
        return own + artifact, feature + artifact

    def _fields(self, rng: np.random.Generator, tiles: int) -> np.ndarray:
        fields = smooth_fields(rng, tiles, self.size, self.length)
        if not self.slides:
            return fields
        shared = smooth_fields(rng, len(self.slides), self.size, self.length)
        shared = np.repeat(shared, self.slides, axis=0)
        return np.sqrt(self.common) * shared + np.sqrt(1 - self.common) * fields


def smooth_fields(rng: np.random.Generator, count: int, size: int, length: float) -> np.ndarray:
    """Gaussian fields of variance 1, cut from a larger window so that nothing wraps around.

    White noise is given the spectrum of the wanted correlation. The window is wider by 5
    correlation lengths, over which the correlation falls to 4e-6.
    """
    reach = length * size
    window = scipy.fft.next_fast_len(size + int(np.ceil(5 * reach)), real=True)
    rows = 2 * np.pi * np.fft.fftfreq(window)[:, None]
    columns = 2 * np.pi * np.fft.rfftfreq(window)
    spectrum = np.exp(-((reach / 2) ** 2) * (rows**2 + columns**2))
    twice = np.ones(len(columns[: window // 2 + 1]))
    twice[1 : (window + 1) // 2] = 2  # the half of the plane that the transform leaves out
    spectrum /= np.sqrt((spectrum**2 * twice).sum() / window**2)
    noise = scipy.fft.rfft2(rng.normal(size=(count, window, window)))
    return scipy.fft.irfft2(noise * spectrum, (window, window))[:, :size, :size]


def border_pattern(size: int) -> np.ndarray:
    """A frame an eighth of the side wide, as zero padding prints it; mean 0 and variance 1."""
    inside = size - 2 * (size // 8)
    frame = np.pad(np.zeros((inside, inside)), size // 8, constant_values=1.0)
    return (frame - frame.mean()) / frame.std()
