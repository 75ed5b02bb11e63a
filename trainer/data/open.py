"""From what ``--data`` says to a collection of images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from trainer.data.images import IMAGE_SUFFIXES, open_files, open_folder
from trainer.data.npz import open_npz
from trainer.data.slide import SLIDE_SUFFIXES, open_slide
from trainer.data.source import ArraySource, Collection
from trainer.data.tissue import tissue_map


def open_data(data: str, *, mpp: float | None = None) -> Collection:
    """Open the embedded image (``ihc``), a folder, an ``.npz``, an image or a slide.

    Parameters
    ----------
    data : str
        ``ihc`` or a path.
    mpp : float, optional
        Micrometers per pixel, where the files do not say or say it wrong.

    Raises
    ------
    ConfigurationError
        If there is no such data, or nothing in it can be used.
    """
    if data == "ihc":
        return _embedded(mpp)
    path = Path(data).expanduser()
    if path.is_dir():
        return open_folder(path, mpp=mpp)
    if not path.exists():
        raise ConfigurationError(f"no such data: {data} (expected 'ihc', a folder or a file)")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return open_npz(path, mpp=mpp)
    if suffix in SLIDE_SUFFIXES:
        return Collection((open_slide(path, mpp=mpp),))
    if suffix in IMAGE_SUFFIXES:
        return open_files([path], root=path.parent, mpp=mpp)
    raise ConfigurationError(
        f"{data} is neither a folder, an .npz, an image (PNG, JPEG, TIFF) nor a whole slide"
    )


def _embedded(mpp: float | None) -> Collection:
    """Colon, immunohistochemistry with DAB, 512x512; it ships inside scikit-image."""
    from skimage import data

    image: NDArray[np.uint8] = data.immunohistochemistry()  # type: ignore[no-untyped-call]
    source = ArraySource(
        "skimage/immunohistochemistry", image[None], mpp=mpp, tissue=tissue_map(image)
    )
    return Collection((source,), stain="ihc", in_memory=True)
