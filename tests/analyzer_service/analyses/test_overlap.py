"""Attention against masks: pixel by pixel with scikit-learn, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce
from sklearn.metrics import roc_auc_score

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.attention import excess_density
from analyzer_service.analyses.overlap import (
    NAMES,
    area_fractions,
    auc_matrix,
    enrichment_matrix,
    mean_regrid,
    nuclear_attention,
    stack_nuclear_attention,
)
from tests.analyzer_service.analyses.maps import noise, smooth

OVERLAP, ENRICHMENT, AUC, NSS = NAMES


def nuclei(height=32, width=32, *, share=0.3, seed=0):
    return np.random.default_rng(seed).random((height, width)) < share


def enlarged(gate, mask):
    """The gate at the mask's resolution, by its nearest neighbor."""
    factors = [big // small for big, small in zip(mask.shape, gate.shape, strict=True)]
    return np.kron(gate, np.ones(factors))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("digits", [16, 1])
def test_every_number_is_that_of_the_enlarged_gate(seed, digits):
    gate = smooth(8, 8, seed=seed).round(digits)  # with one digit many cells are equal
    mask = nuclei(seed=seed)
    pixels = enlarged(gate, mask)
    density = enlarged(excess_density(gate), mask) / 16
    found = nuclear_attention(gate, mask)
    assert found[OVERLAP] == pytest.approx(density[mask].sum(), rel=1e-12)
    assert found[ENRICHMENT] == pytest.approx(density[mask].sum() / mask.mean(), rel=1e-12)
    assert found[AUC] == pytest.approx(roc_auc_score(mask.ravel(), pixels.ravel()), rel=1e-12)
    scores = (pixels - pixels.mean()) / pixels.std()
    assert found[NSS] == pytest.approx(scores[mask].mean(), abs=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (32, 32), (40, 12)])
def test_covered_shares_keep_the_covered_area(shape):
    mask = nuclei(32, 32)
    shares = area_fractions(mask, shape)
    assert shares.shape == shape
    assert shares.mean() == pytest.approx(mask.mean(), rel=1e-12)
    assert ((shares >= 0) & (shares <= 1)).all()


def test_means_over_cells_are_scikit_images():
    field = noise(32, 48, seed=3)
    np.testing.assert_allclose(
        mean_regrid(field, (8, 6)), block_reduce(field, (4, 8), np.mean), rtol=1e-12
    )


@pytest.mark.parametrize("block", [(7, 7), (3, 3), (5, 2), (1, 6), (4, 4)])
def test_means_of_whole_blocks_are_of_double_precision(block):
    field = noise(6 * block[0], 5 * block[1], seed=3)
    np.testing.assert_allclose(
        mean_regrid(field, (6, 5)), block_reduce(field, block, np.mean), rtol=1e-14
    )


@pytest.mark.parametrize(("side", "grid"), [(224, 32), (112, 16), (147, 3), (100, 33), (101, 7)])
def test_a_full_mask_has_no_auc_whatever_rounding_leaves(side, grid):
    gate = noise(grid, grid, seed=1)
    found = nuclear_attention(gate, np.ones((side, side)))
    assert found[OVERLAP] == pytest.approx(1.0, abs=1e-12)
    assert found[ENRICHMENT] == pytest.approx(1.0, abs=1e-12)
    assert np.isnan(found[AUC])
    shares = area_fractions(np.ones((side, side)), (grid, grid))
    assert np.isnan(auc_matrix(gate[None], shares[None])).all()
    mask = np.ones((side, side))
    mask[0, 0] = 0
    assert 0.0 <= nuclear_attention(gate, mask)[AUC] <= 1.0  # one pixel outside is enough


def test_means_by_shared_area_are_those_of_the_least_common_multiple():
    field = noise(6, 10, seed=4)
    fine = np.kron(field, np.ones((2, 3)))  # 12 x 30
    expected = block_reduce(fine, (3, 2), np.mean)
    np.testing.assert_allclose(mean_regrid(field, (4, 15)), expected, rtol=1e-12)


@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(0.01, 100),
    offset=st.floats(-10, 10),
    share=st.floats(0.05, 0.95),
)
@settings(deadline=None, max_examples=60)
def test_an_offset_and_a_scale_change_nothing(seed, scale, offset, share):
    gate, mask = smooth(8, 8, seed=seed), nuclei(share=share, seed=seed)
    one, other = nuclear_attention(gate, mask), nuclear_attention(scale * gate + offset, mask)
    for name in NAMES:
        assert other[name] == pytest.approx(one[name], rel=1e-6, abs=1e-7), name
    assert 0 <= one[OVERLAP] <= 1
    assert 0 <= one[AUC] <= 1


def test_attention_that_ignores_the_mask_is_at_chance_in_the_mean():
    gates = np.stack([noise(16, 16, seed=i) for i in range(200)])
    masks = np.stack([area_fractions(nuclei(seed=1000 + i), (16, 16)) for i in range(200)])
    found = stack_nuclear_attention(gates, masks)
    assert found[ENRICHMENT].mean() == pytest.approx(1.0, abs=0.02)
    assert found[AUC].mean() == pytest.approx(0.5, abs=0.01)
    assert found[NSS].mean() == pytest.approx(0.0, abs=0.03)


def test_an_empty_mask_has_no_numbers_and_a_full_one_all_attention():
    gate = smooth(8, 8)
    assert all(math.isnan(value) for value in nuclear_attention(gate, np.zeros((16, 16))).values())
    full = nuclear_attention(gate, np.ones((16, 16)))
    assert full[OVERLAP] == pytest.approx(1.0)
    assert full[ENRICHMENT] == pytest.approx(1.0)
    assert math.isnan(full[AUC])


def test_a_constant_gate_overlaps_as_much_as_is_covered():
    mask = nuclei()
    found = nuclear_attention(np.full((8, 8), 0.5), mask)
    assert found[OVERLAP] == pytest.approx(mask.mean())
    assert all(math.isnan(found[name]) for name in (ENRICHMENT, AUC, NSS))
    assert math.isnan(nuclear_attention(np.full((8, 8), 0.5), np.zeros((8, 8)))[OVERLAP])


@pytest.mark.parametrize("gate", [np.full((8, 8), np.nan), np.ones((1, 8)), np.empty((0, 0))])
def test_a_gate_that_cannot_be_measured_has_no_numbers(gate):
    shares = np.ones((1, *gate.shape))
    found = stack_nuclear_attention(gate[None], shares)
    assert all(np.isnan(column).all() for column in found.values())


def test_matrices_hold_every_pairing():
    gates = np.stack([smooth(8, 8, seed=1), noise(8, 8, seed=2), np.full((8, 8), 0.5)])
    masks = np.stack([nuclei(seed=1), nuclei(seed=2), np.zeros((32, 32), bool)])
    shares = area_fractions(masks, (8, 8))
    found = {ENRICHMENT: enrichment_matrix(gates, shares), AUC: auc_matrix(gates, shares)}
    for name, matrix in found.items():
        for i, gate in enumerate(gates):
            for j, mask in enumerate(masks):
                expected = nuclear_attention(gate, mask)[name]
                assert matrix[i, j] == pytest.approx(expected, abs=1e-12, nan_ok=True), (name, i, j)


@pytest.mark.parametrize("function", [stack_nuclear_attention, auc_matrix, enrichment_matrix])
def test_gates_and_shares_of_other_sizes_are_refused(function):
    with pytest.raises(ArrayError, match="area_fractions"):
        function(np.ones((2, 8, 8)), np.ones((2, 4, 4)))


def test_what_is_no_mask_is_refused():
    with pytest.raises(ArrayError, match=r"mask \(H, W\)"):
        area_fractions(np.ones(4), (2, 2))
    with pytest.raises(ArrayError, match="regrid"):
        mean_regrid(np.ones((0, 4)), (2, 2))
