"""The worked vectors of masks, overlap and readers; each names where its values come from."""

import numpy as np
import pytest

from analyzer_service.analyses import raters, saliency
from analyzer_service.analyses.attention import pearson
from analyzer_service.analyses.attention_mask import attention_mask_scores
from analyzer_service.analyses.masks import mask_scores
from analyzer_service.analyses.overlap import nuclear_attention
from analyzer_service.analyses.significance import spearman
from tests.analyzer_service.analyses.test_vectors import vectors


@pytest.mark.parametrize("vector", vectors(only="nuclear_attention_overlap"))
def test_overlap(vector):
    gate, mask = vector["inputs"]["a"], vector["inputs"]["mask"]
    found = nuclear_attention(gate, mask)
    expected = dict(vector["expected"])
    values = {
        "nuclear_attention_overlap": found["nuclear_attention_overlap"],
        "enrichment": found["nuclear_attention_enrichment"],
        "auc": found["nuclear_attention_auc"],
        "rank_accuracy": attention_mask_scores(gate, mask)["area_matched"],
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=vector["tol"]), name


@pytest.mark.parametrize("vector", vectors(only="mask_saliency_scores"))
def test_saliency(vector):
    gate, mask = np.array(vector["inputs"]["a"]), np.array(vector["inputs"]["mask"])
    values = {
        "nss": nuclear_attention(gate, mask)["nuclear_attention_nss"],
        "kl_of_a_plus_1": saliency.divergence(mask, gate + 1),
        "average_precision": attention_mask_scores(gate, mask)["average_precision"],
    }
    assert values == pytest.approx(vector["expected"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="tissue_attention_correlation"))
def test_correlation(vector):
    maps = vector["inputs"]["a"], vector["inputs"]["f"]
    values = {
        "r": pearson(*maps),
        "spearman": spearman(*maps),
        "SIM": saliency.similarity(*maps),
    }
    assert values == pytest.approx(vector["expected"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="overlap_masks"))
def test_masks(vector):
    found = mask_scores(vector["inputs"]["pred"], vector["inputs"]["ref"])
    for name, value in vector["expected"].items():
        assert found[name] == pytest.approx(value, abs=vector["tol"]), name


@pytest.mark.parametrize("vector", vectors(only="inter_rater"))
def test_readers(vector):
    ratings = vector["inputs"]["raters"]
    values = {
        "cohen_kappa_ab": raters.cohen_kappa(ratings[0], ratings[1]),
        "fleiss_kappa": raters.fleiss_kappa(ratings),
        "krippendorff_alpha_nominal": raters.krippendorff_alpha(ratings),
    }
    assert values == pytest.approx(vector["expected"], abs=vector["tol"])


@pytest.mark.parametrize("vector", vectors(only="staple"))
def test_consensus(vector):
    chance = raters.staple(vector["inputs"]["masks"])
    values = {
        "prob_at_1_3": chance[1, 3],
        "prob_at_6_6": chance[6, 6],
        "consensus_area_05": (chance >= 0.5).sum(),
    }
    assert values == pytest.approx(vector["expected"], abs=vector["tol"])
