"""What an analysis must know of a run's tissue beyond the pixels: its stains and its scale."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from analyzer_service.analyses.stain_vectors import STAIN_VECTORS, StainVectors

VectorChoice: TypeAlias = Literal["ruifrok", "qupath", "macenko"]
"""Named stain vectors, or an estimate of the run's own tiles."""


@dataclass(frozen=True, slots=True)
class TissueFacts:
    """How the tiles of a run are stained, and how large their pixels are.

    Attributes
    ----------
    vectors : StainVectors
        Of the two stains, hematoxylin first.
    mpp : float or None
        Micrometers per pixel of tiles that do not say theirs; None where it is not known.
    """

    vectors: StainVectors = STAIN_VECTORS["ruifrok"]
    mpp: float | None = None


def named_vectors(choice: VectorChoice, stain: str) -> StainVectors:
    """Vectors that are not estimated: those of `choice`, Ruifrok's in the place of Macenko's.

    Anything but ``ihc`` (hematoxylin and DAB) is taken for H&E.
    """
    name = "qupath" if choice == "qupath" else "ruifrok"
    return STAIN_VECTORS[f"{name}_hdab" if stain == "ihc" else name]
