"""PLACEHOLDER until the nuclei branch lands."""

import math

import cv2
import numpy as np

from analyzer_service.analyses import stain


def segment(image, *, mpp=None):
    if 0 in image.shape:
        return np.zeros(image.shape[:2], np.int32)
    h = cv2.GaussianBlur(
        np.ascontiguousarray(stain.stain_densities(image)[..., 0]).astype(np.float32), (0, 0), 1.5
    )
    m = (h > 0.25).astype(np.uint8)
    m = cv2.morphologyEx(m, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return cv2.connectedComponents(m)[1].astype(np.int32)


def features(labels, *, mpp=None, detail=False):
    n = int(labels.max(initial=0))
    r = dict.fromkeys(
        (
            "nuclear_area_mean",
            "nuclear_area_cv",
            "nuclear_eccentricity_mean",
            "nuclear_nn_distance",
            "clark_evans",
        ),
        math.nan,
    )
    return {
        "nuclear_count": float(n),
        "nuclear_area_fraction": float((labels > 0).mean()) if labels.size else math.nan,
        "nuclear_density": float(n),
        **r,
    }


def density_map(labels):
    if 0 in labels.shape:
        return np.zeros(labels.shape)
    return cv2.GaussianBlur((labels > 0).astype(np.float64), (0, 0), 8)
