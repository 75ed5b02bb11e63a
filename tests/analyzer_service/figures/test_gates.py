import numpy as np
import pytest

from analyzer_service.figures.gates import view_gate


def test_a_half_attended_gate_has_twice_the_uniform_share_there() -> None:
    gate = np.full((8, 8), 0.2, np.float32)
    gate[:, :4] = 0.7
    view = view_gate(gate)
    assert view.density is not None
    # By hand: the lowest quartile is 0.2, so half the cells share everything.
    np.testing.assert_allclose(view.density[:, :4], 2.0, rtol=1e-6)
    np.testing.assert_allclose(view.density[:, 4:], 0.0)
    assert view.contrast == pytest.approx(0.25 / 0.45, rel=1e-6)
    assert view.remark == ""


def test_a_constant_gate_is_uniform_and_says_so() -> None:
    view = view_gate(np.full((4, 6), 0.5, np.float32))
    assert view.density is not None
    assert (view.density == 1).all()
    assert view.remark == "constant gate: no spatial attention"


def test_a_weak_gate_names_its_contrast() -> None:
    gate = np.full((8, 8), 0.5, np.float32)
    gate[::2] += 0.008
    # By hand: standard deviation 0.004 over mean 0.504.
    assert view_gate(gate).remark == "weak: contrast 0.00794, may be noise"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gate_that_is_not_finite_has_no_map(bad: float) -> None:
    gate = np.full((8, 8), 0.5, np.float32)
    gate[3, 3] = bad
    assert view_gate(gate).density is None
    assert "not finite" in view_gate(gate).remark


@pytest.mark.parametrize("shape", [(1, 1), (1, 9)])
def test_a_gate_of_few_cells_has_no_map(shape: tuple[int, int]) -> None:
    assert "too few cells" in view_gate(np.zeros(shape, np.float32)).remark
