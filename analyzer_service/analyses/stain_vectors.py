"""What color each stain absorbs: named pairs of stains and the matrix that unmixes them."""

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats
from shared.errors import AnalysisError

Row: TypeAlias = tuple[float, float, float]

SMALLEST_VOLUME: Final = 1e-6  # of the unit rows: below, they do not span the colors

HEMATOXYLIN_EOSIN: Final = ("hematoxylin", "eosin")
HEMATOXYLIN_DAB: Final = ("hematoxylin", "dab")


@dataclass(frozen=True)
class StainVectors:
    """Two stains and the optical density that one unit of each adds to red, green and blue.

    Attributes
    ----------
    stains : (str, str)
        What the first two rows are; the features are named after them.
    rows : tuple of 2 or 3 rows of 3 floats
        Of any length: only the direction counts. The third is the residual, the unit cross
        product of the first two unless given.
    """

    stains: tuple[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: ArrayLike, *, stains: tuple[str, str] = HEMATOXYLIN_EOSIN) -> "StainVectors":
        """Vectors from an array of shape (2, 3) or (3, 3), such as `macenko` returns.

        Raises
        ------
        ArrayError
            If it has another shape or is no array of numbers.
        """
        try:
            array = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArrayError(f"expected stain vectors as numbers: {error}") from error
        if array.shape not in ((2, 3), (3, 3)):
            raise ArrayError(f"expected stain vectors (2, 3) or (3, 3), got shape {array.shape}")
        return cls(stains, tuple((float(r), float(g), float(b)) for r, g, b in array))


STAIN_VECTORS: Final = MappingProxyType(
    {
        "ruifrok": StainVectors(HEMATOXYLIN_EOSIN, ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))),
        "qupath": StainVectors(
            HEMATOXYLIN_EOSIN, ((0.65111, 0.70119, 0.29049), (0.2159, 0.8012, 0.5581))
        ),
        "ruifrok_hdab": StainVectors(HEMATOXYLIN_DAB, ((0.65, 0.70, 0.29), (0.27, 0.57, 0.78))),
        "qupath_hdab": StainVectors(
            HEMATOXYLIN_DAB, ((0.65111, 0.70119, 0.29049), (0.26917, 0.56824, 0.77759))
        ),
    }
)
"""Named sets of stain vectors.

``ruifrok`` and ``ruifrok_hdab``: A. C. Ruifrok, D. A. Johnston, "Quantification of histochemical
staining by color deconvolution", Anal. Quant. Cytol. Histol. 23 (2001) 291-299.
``qupath`` and ``qupath_hdab``: the defaults "H&E default" and "H-DAB default" of QuPath
(P. Bankhead et al., "QuPath: open source software for digital pathology image analysis", Sci. Rep.
7 (2017) 16878).
"""


def as_stain_vectors(vectors: str | StainVectors | ArrayLike) -> StainVectors:
    """Return the set of that name, or the vectors themselves; an array is hematoxylin and eosin.

    Raises
    ------
    AnalysisError
        If there is no set of that name.
    ArrayError
        If an array is no set of stain vectors.
    """
    if isinstance(vectors, StainVectors):
        return vectors
    if not isinstance(vectors, str):
        return StainVectors.of(vectors)
    if vectors not in STAIN_VECTORS:
        raise AnalysisError(f"expected stain vectors in {sorted(STAIN_VECTORS)}, got {vectors!r}")
    return STAIN_VECTORS[vectors]


@lru_cache(maxsize=64)
def unmixing_matrix(vectors: StainVectors) -> Floats:
    """Inverse of the unit rows of the stains: ``density @ matrix`` are the amounts.

    Returns
    -------
    ndarray of shape (3, 3), float64, read-only
        All NaN where the rows do not span the colors: parallel, zero or not finite.
    """
    matrix = _inverse(np.array(vectors.rows, dtype=np.float64))
    matrix.flags.writeable = False
    return matrix


def _inverse(rows: Floats) -> Floats:
    undefined = np.full((3, 3), np.nan)
    lengths = np.linalg.norm(rows, axis=1)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return undefined
    units = np.asarray(rows / lengths[:, None], dtype=np.float64)
    if len(units) == 2:
        normal = np.cross(units[0], units[1])
        sine = float(np.linalg.norm(normal))
        if sine < SMALLEST_VOLUME:
            return undefined
        units = np.asarray(np.vstack([units, normal / sine]), dtype=np.float64)
    if abs(np.linalg.det(units)) < SMALLEST_VOLUME:
        return undefined
    return np.asarray(np.linalg.inv(units), dtype=np.float64)
