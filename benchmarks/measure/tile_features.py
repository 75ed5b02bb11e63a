"""The pixel features of one tile, each beside what scikit-image needs for the same number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.color import rgb2gray, rgb2hed, separate_stains
from skimage.feature import graycomatrix, graycoprops
from skimage.filters import sobel
from skimage.morphology import disk, opening

from analyzer_service.analyses import architecture, color, stain, texture

PROPERTIES = ("contrast", "homogeneity", "energy")
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
CELLS = 8


@dataclass(frozen=True)
class Contest:
    """Two ways to one result; the library's is None where it has none."""

    step: str
    library: Callable[[], Any] | None
    ours: Callable[[], Any]

    @property
    def difference(self) -> float | None:
        """Largest difference of the results."""
        if self.library is None:
            return None
        return float(np.abs(np.asarray(self.library()) - np.asarray(self.ours())).max())


def tile_contests(tile: np.ndarray) -> Iterator[Contest]:
    """Every step of one 8-bit tile, then all of them with the work that they share done once."""
    inverse = np.linalg.inv(ruifrok_rows())
    rgb = tile / 255.0
    steps: list[tuple[str, Callable[[], Any] | None, Callable[[], Any]]] = [
        ("stain, rgb2hed", lambda: rgb2hed(tile), lambda: stain.hed(tile)),
        (
            "stain densities",
            lambda: 6 * separate_stains(tile, inverse),
            lambda: clipped(stain.stain_densities(tile)),
        ),
        ("stain densities, not clipped", None, lambda: stain.stain_densities(tile)),
        (
            "stain intensities, tissue",
            lambda: library_intensities(tile, inverse),
            lambda: list(stain.stain_intensities(tile).values()),
        ),
        (
            "color variance",
            lambda: np.var(rgb, axis=2).mean(),
            lambda: color.color_variance(tile),
        ),
        (
            "color variance, map",
            lambda: np.var(rgb, axis=2),
            lambda: color.color_variance_map(tile),
        ),
        (
            "GLCM, whole tile",
            lambda: glcm(levels_of(tile)),
            lambda: list(texture.glcm_features(tile).values()),
        ),
        (
            "GLCM, 8 x 8 cells",
            lambda: library_local_glcm(levels_of(tile)),
            lambda: list(texture.local_glcm(tile).values()),
        ),
        (
            "white fraction, edges",
            lambda: library_architecture(tile),
            lambda: list(architecture.architecture_features(tile).values()),
        ),
        ("all of these, shared", None, lambda: everything(tile)),
    ]
    size = f"{tile.shape[0]} x {tile.shape[1]}"
    return (Contest(f"{step}, {size}", library, ours) for step, library, ours in steps)


def everything(tile: np.ndarray) -> list[Any]:
    """The features and maps of a tile as a frame needs them."""
    maps, gray = stain.stain_maps(tile), color.luminance(tile)
    levels, variance = texture.quantize_gray(gray), color.color_variance_map(tile)
    return [
        stain.intensities_from(maps, maps[..., 2]),
        architecture.architecture_from(maps[..., 2], gray),
        float(variance.mean()),
        texture.glcm_features_of_levels(levels),
        texture.local_glcm_of_levels(levels),
    ]


def ruifrok_rows() -> np.ndarray:
    """Hematoxylin, eosin and what is at right angles to both, of unit length."""
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    rows = np.vstack([stains, np.cross(*stains)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clipped(amounts: np.ndarray) -> np.ndarray:
    """As scikit-image leaves them, which has no negative amounts."""
    return np.maximum(amounts, 0, out=amounts)


def absorbed_by(tile: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(tile / 255.0, 1e-6)).sum(axis=2)


def library_intensities(tile: np.ndarray, inverse: np.ndarray) -> list[float]:
    amounts, tissue = 6 * separate_stains(tile, inverse), absorbed_by(tile) > 0.15
    return [*amounts[tissue, :2].mean(axis=0), tissue.mean()]


def levels_of(tile: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(32 * rgb2gray(tile)), 31).astype(np.uint8)


def glcm(levels: np.ndarray) -> list[float]:
    matrix = graycomatrix(levels, [1, 2, 3], ANGLES, levels=32, symmetric=True, normed=True)
    return [graycoprops(matrix, name).mean() for name in PROPERTIES]


def library_local_glcm(levels: np.ndarray) -> np.ndarray:
    height, width = (side // CELLS for side in levels.shape)
    cells = [
        glcm(levels[i * height : (i + 1) * height, j * width : (j + 1) * width])
        for i in range(CELLS)
        for j in range(CELLS)
    ]
    return np.array(cells).T.reshape(3, CELLS, CELLS)


def library_architecture(tile: np.ndarray) -> list[float]:
    white = opening(absorbed_by(tile) <= 0.15, disk(2), mode="ignore")
    return [white.mean(), (sobel(rgb2gray(tile)) > 0.1).mean()]
