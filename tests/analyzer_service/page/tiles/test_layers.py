"""Which numbers of a tile belong to which layer."""

import numpy as np

from analyzer_service.page.tiles.layers import FrameLayer, by_layer

MAPS = np.zeros((1, 8, 8), np.float32)


def test_numbers_go_to_the_layer_with_the_longest_name_that_fits() -> None:
    layers = [
        FrameLayer("bam", "attention", True, MAPS),
        FrameLayer("deep_bam", "attention", False, MAPS),
        FrameLayer("kan", "activation", False, MAPS),
    ]
    tile, parted = by_layer(
        {
            "ssim": 0.9,
            "attention_bam_attention_entropy": 1.0,
            "nuclear_attention_auc_deep_bam": 2.0,
            "nuclear_attention_auc_bam": 3.0,
            "tissue_attention_correlation/eosin_bam": 4.0,
            "activation_kan_attention_gini": 5.0,
            "own_score_bam": 6.0,
        },
        layers,
    )
    assert tile == {"ssim": 0.9, "own_score_bam": 6.0}
    assert parted == {
        "attention_bam": {
            "attention_entropy": 1.0,
            "nuclear_attention_auc": 3.0,
            "tissue_attention_correlation/eosin": 4.0,
        },
        "attention_deep_bam": {"nuclear_attention_auc": 2.0},
        "activation_kan": {"attention_gini": 5.0},
    }
