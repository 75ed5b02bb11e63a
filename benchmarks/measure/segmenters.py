"""Ways to find nuclei, ours and others; each takes an image and µm/px, which it may ignore."""

import importlib.util
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from analyzer_service.analyses import nuclei
from analyzer_service.analyses.stain import stain_densities

Segmenter = Callable[[np.ndarray, float | None], np.ndarray]

RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


def ours(image: np.ndarray, _: float | None) -> np.ndarray:
    return nuclei.segment(image)


def ours_scaled(image: np.ndarray, mpp: float | None) -> np.ndarray:
    return nuclei.segment(image, mpp=mpp)


def scikit_image_red(image: np.ndarray, _: float | None) -> np.ndarray:
    """Otsu on the optical density of red, watershed on the distance: what a user would write."""
    return _by_distance(-np.log10(np.maximum(image[..., 0], 1) / 255.0))


def scikit_image_hed(image: np.ndarray, _: float | None) -> np.ndarray:
    """The same on the hematoxylin of `rgb2hed`, as in the tutorials."""
    return _by_distance(rgb2hed(image)[..., 0])


def metrics_recipe(image: np.ndarray, _: float | None) -> np.ndarray:
    """The baseline that METRICS.md gives: fixed stain vectors and global thresholds."""
    stain = stain_densities(image, RUIFROK)[..., 0]
    smoothed = gaussian(stain, 1.5)
    mask = smoothed > max(threshold_otsu(smoothed), 0.10)
    if not mask.any() or mask.all() or smoothed[mask].mean() - smoothed[~mask].mean() < 0.06:
        return np.zeros(mask.shape, np.int32)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disk)
    mask = ndimage.binary_fill_holes(mask)
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    distance = gaussian(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), 2)
    reach = max(1, round(0.8 * np.percentile(distance[mask], 90)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    tops = (distance >= cv2.dilate(distance, window)) & mask
    markers, _ = ndimage.label(tops, np.ones((3, 3)))
    return remove_small_objects(watershed(-distance, markers, mask=mask), max_size=19)


def histomicstk(image: np.ndarray, _: float | None) -> np.ndarray:
    """Kofahi's method with the defaults of HistomicsTK's command line, but Otsu's threshold."""
    toolkit: Any = importlib.import_module("histomicstk")
    colors = toolkit.preprocessing.color_deconvolution
    vectors = [colors.stain_color_map[name] for name in ("hematoxylin", "eosin", "null")]
    unmixed = colors.color_deconvolution(image, np.array(vectors).T, I_0=255)
    stain = unmixed.Stains[..., 0].astype(np.float64)
    found = toolkit.segmentation.nuclear.detect_nuclei_kofahi(
        stain, stain < threshold_otsu(stain), 6, 20, 80, 10
    )
    return np.asarray(found).astype(np.int32)


def contestants() -> tuple[dict[str, Segmenter], list[str]]:
    """Those that can run here, and the names of those that cannot."""
    found: dict[str, Segmenter] = {
        "ours": ours,
        "ours, µm/px stated": ours_scaled,
        "scikit-image, red": scikit_image_red,
        "scikit-image, HED": scikit_image_hed,
        "recipe of METRICS.md": metrics_recipe,
    }
    if importlib.util.find_spec("histomicstk") is None:
        return found, ["HistomicsTK (not installed)"]
    return found | {"HistomicsTK, Kofahi": histomicstk}, []


def _by_distance(stain: np.ndarray) -> np.ndarray:
    smoothed = gaussian(stain, 1.5)
    mask = smoothed > threshold_otsu(smoothed)
    mask = ndimage.binary_fill_holes(remove_small_objects(mask, max_size=19))
    distance = gaussian(ndimage.distance_transform_edt(mask), 1)
    tops = peak_local_max(distance, min_distance=5, labels=ndimage.label(mask)[0])
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    return watershed(-distance, markers, mask=mask)
