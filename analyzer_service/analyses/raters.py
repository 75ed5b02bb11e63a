"""How far several readers of the same images agree, and what they hold together.

The agreement of readers is the ceiling of what attention can reach against one of them.
"""

from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats
from analyzer_service.analyses.masks import mask_scores

_FIRST_GUESS: Final = 0.99999
_MOST_ROUNDS: Final = 1000
_SETTLED: Final = 1e-12


def cohen_kappa(one: ArrayLike, other: ArrayLike) -> float:
    """Agreement of two readers beyond chance: 1 is full, 0 is chance; NaN if chance is certain.

    Parameters
    ----------
    one, other : arrays of one shape
        Labels of the same units.

    Raises
    ------
    ArrayError
        If the shapes differ or there is nothing to compare.

    Notes
    -----
    J. Cohen, Educ. Psychol. Meas. 20 (1960) 37-46.

    Examples
    --------
    >>> cohen_kappa([0, 1, 1, 0], [0, 1, 0, 1])
    0.0
    """
    first, second = np.asarray(one).ravel(), np.asarray(other).ravel()
    if first.shape != second.shape or not first.size:
        raise ArrayError(f"expected labels of the same units, got {first.size} and {second.size}")
    labels = np.union1d(first, second)
    shares = [(ratings[:, None] == labels).mean(axis=0) for ratings in (first, second)]
    return _beyond_chance(float((first == second).mean()), float(shares[0] @ shares[1]))


def fleiss_kappa(ratings: ArrayLike) -> float:
    """Agreement of two or more readers who all rated every unit, beyond chance.

    Parameters
    ----------
    ratings : array of shape (readers, units)

    Returns
    -------
    float
        1 is full, 0 is chance; NaN if chance is certain.

    Raises
    ------
    ArrayError
        If there are fewer than two readers or no unit.

    Notes
    -----
    J. L. Fleiss, Psychol. Bull. 76 (1971) 378-382.
    """
    table = _ratings(ratings)
    counts = (table[:, :, None] == np.unique(table)).sum(axis=0).astype(np.float64)
    readers = len(table)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))
    shares = counts.sum(axis=0) / counts.sum()
    return _beyond_chance(float(agreeing.mean()), float(shares @ shares))


def krippendorff_alpha(ratings: ArrayLike) -> float:
    """Krippendorff's alpha of nominal labels; readers may have left units out.

    Parameters
    ----------
    ratings : array of shape (readers, units)
        NaN where a reader gave none. Units with fewer than two labels do not count.

    Returns
    -------
    float
        1 is full agreement, 0 is chance; NaN where all labels are one, or no unit counts.

    Raises
    ------
    ArrayError
        If there are fewer than two readers or no unit.

    Notes
    -----
    K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
    """
    table = _ratings(ratings).astype(np.float64)
    labels = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == labels).sum(axis=0).astype(np.float64)
    given = counts.sum(axis=1)
    counts, given = counts[given >= 2], given[given >= 2]
    if not len(given):
        return float("nan")
    total = float(given.sum())
    observed = (counts * (given[:, None] - counts)).sum(axis=1) / (given - 1)
    sums = counts.sum(axis=0)
    expected = float((sums * (total - sums)).sum()) / (total - 1)
    return 1.0 - float(observed.sum()) / expected if expected > 0 else float("nan")


def pairwise_dice(masks: ArrayLike) -> Floats:
    """Dice of each pair of readers' masks (readers, H, W); NaN where both are empty.

    Returns
    -------
    ndarray of shape (readers, readers)
        Symmetric; the diagonal is 1, NaN for an empty mask.

    Raises
    ------
    ArrayError
        If it is no stack of masks.
    """
    stack = _stack(masks)
    result = np.full((len(stack), len(stack)), np.nan)
    for i in range(len(stack)):
        result[i, i] = mask_scores(stack[i], stack[i])["dice"]
    for i, j in combinations(range(len(stack)), 2):
        result[i, j] = result[j, i] = mask_scores(stack[i], stack[j])["dice"]
    return result


def staple(masks: ArrayLike) -> Floats:
    """Chance of each pixel to be inside, by all readers, each weighed by how well they do.

    Parameters
    ----------
    masks : array of shape (readers, H, W)
        Nonzero is inside.

    Returns
    -------
    ndarray of shape (H, W)
        In [0, 1]. All readers alike give their mask.

    Raises
    ------
    ArrayError
        If it is no stack of masks.

    Notes
    -----
    S. K. Warfield, K. H. Zou, W. M. Wells, IEEE Trans. Med. Imaging 23 (2004) 903-921. The prior is
    the mean area of all masks. Two identical readers outvote a third altogether.
    """
    stack = _stack(masks).reshape(len(np.asarray(masks)), -1)
    prior = float(stack.mean())
    if prior in (0.0, 1.0):
        return np.full(np.asarray(masks).shape[1:], prior)
    hit = np.full(len(stack), _FIRST_GUESS)  # inside said inside
    spared = np.full(len(stack), _FIRST_GUESS)  # outside said outside
    chance = np.zeros(stack.shape[1])
    for _ in range(_MOST_ROUNDS):
        before = chance
        inside = prior * np.where(stack, hit[:, None], 1 - hit[:, None]).prod(axis=0)
        outside = (1 - prior) * np.where(stack, 1 - spared[:, None], spared[:, None]).prod(axis=0)
        total = inside + outside
        chance = np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)
        hit, spared = _rates(stack, chance), _rates(~stack, 1 - chance)
        if np.abs(chance - before).max() < _SETTLED:
            break
    return chance.reshape(np.asarray(masks).shape[1:])


def _rates(said: NDArray[np.bool_], chance: Floats) -> Floats:
    total = float(chance.sum())
    rates: Floats = said @ chance / total if total > 0 else np.zeros(len(said))
    return rates


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def _ratings(ratings: ArrayLike) -> NDArray[Any]:
    table = np.asarray(ratings)
    if table.ndim != 2 or len(table) < 2 or not table.shape[1]:
        raise ArrayError(
            f"expected labels of two or more readers (readers, units), got shape {table.shape}"
        )
    return table


def _stack(masks: ArrayLike) -> NDArray[np.bool_]:
    stack = np.asarray(masks)
    if stack.ndim != 3 or not stack.size:
        raise ArrayError(f"expected masks (readers, H, W), got shape {stack.shape}")
    inside: NDArray[np.bool_] = stack != 0
    return inside
