"""The color of empty glass, estimated from the palest pixels."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import Floats, as_rgb
from analyzer_service.analyses.optical_density import SUM_OF_CHANNELS, mixed_density

PALEST_SHARE: Final = 0.05
LEAST_TRANSMISSION: Final = 0.6  # in each channel; darker is stained, not tinted


def white_point(image: ArrayLike) -> Floats:
    """Color of the background, for slides whose glass is tinted or whose lamp is not white.

    The median color of the palest twentieth of the pixels. What passes less than 0.6 of the light
    in some channel is taken for tissue: an image that shows no glass has no white point.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
        The order of pixels does not matter: to estimate one white point for many tiles, as a run
        should, pass pixels of all of them as one image (N, 1, 3).

    Returns
    -------
    ndarray of shape (3,), float64
        In [0.6, 1], as `optical_density` takes it; NaN if no glass is seen, the image has no
        pixel, or one is not finite.

    Raises
    ------
    ArrayError
        If it is no image.

    Notes
    -----
    Defined here: pale is a small sum of optical densities (I0 = 1), the twentieth ends at their
    linear 5th percentile. The limit was set on real slides: lilac glass of the 2018 Data Science
    Bowl passes 0.62 of green at the least, tissue that fills its tile 0.57 at the most.

    Examples
    --------
    >>> white_point(np.full((8, 8, 3), 0.9))
    array([0.9, 0.9, 0.9])
    """
    rgb = as_rgb(image)
    undefined = np.full(3, np.nan)
    if rgb.size == 0 or not np.isfinite(rgb).all():
        return undefined
    absorbed = mixed_density(rgb, SUM_OF_CHANNELS)
    palest = rgb[absorbed <= np.quantile(absorbed, PALEST_SHARE)]
    color = np.median(palest, axis=0) / (255.0 if rgb.dtype == np.uint8 else 1.0)
    color = np.minimum(color, 1.0)
    return color if bool((color >= LEAST_TRANSMISSION).all()) else undefined
