"""The tissue of a frame is what each analysis says of each tile."""

import numpy as np
import pytest
import skimage
from skimage.measure import block_reduce

from analyzer_service.analyses import color, nuclei, overlap, stain, texture
from analyzer_service.analyses.architecture import architecture_features
from analyzer_service.analyses.attention import pearson
from analyzer_service.analyses.frame import analyze_frame
from analyzer_service.analyses.pathology_names import FEATURES, TISSUE_NUMBERS, layer_names
from analyzer_service.analyses.significance import modified_t_test
from analyzer_service.analyses.tissue_facts import TissueFacts, named_vectors
from shared.messages import BatchFrame, Sample
from tests.analyzer_service.analyses.maps import smooth

IHC = TissueFacts(named_vectors("ruifrok", "ihc"), mpp=0.5)
GRIDS = {"bam_384": 32, "bam_16": 16}


def tiles(count=3, size=128):
    image = skimage.data.immunohistochemistry()
    return np.stack([image[60 * i :, 90 * i :][:size, :size] for i in range(count)])


def make_frame(images, *, phase="train", step=20, mpp=None):
    gates = {
        name: np.stack([smooth(side, side, seed=i) for i in range(len(images))]).astype(np.float32)
        for name, side in GRIDS.items()
    }
    samples = tuple(Sample(id=str(i), mpp=mpp) for i in range(len(images)))
    return BatchFrame(
        phase=phase,
        epoch=0,
        batch_idx=0,
        global_step=1,
        phase_step=step,
        stream=phase,
        fseq=1,
        captured_at_ns=0,
        samples=samples,
        input=images,
        reconstruction=images,
        attention=gates,
        activation={},
    )


FRAME = make_frame(tiles())
RESULT = analyze_frame(FRAME, IHC)


@pytest.mark.parametrize("place", range(3))
def test_numbers_of_a_tile_are_those_of_the_public_functions(place):
    image, found = FRAME.input[place], RESULT.samples[place]
    labels = nuclei.segment(image, mpp=0.5)
    expected = {
        **stain.stain_intensities(image, "ruifrok_hdab"),
        **texture.glcm_features(image),
        **architecture_features(image),
        **nuclei.features(labels, mpp=0.5),
        "color_variance": color.color_variance(image),
    }
    assert set(expected) == set(TISSUE_NUMBERS) - {"eosin_intensity"}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name


@pytest.mark.parametrize("layer", GRIDS)
def test_attention_is_compared_on_the_gates_grid(layer):
    image, gate, found = FRAME.input[0], FRAME.attention[layer][0], RESULT.samples[0]
    block = 128 // GRIDS[layer]
    labels = nuclei.segment(image, mpp=0.5)
    for name, value in overlap.nuclear_attention(gate, labels).items():
        assert found[f"{name}_{layer}"] == pytest.approx(value, rel=1e-9, nan_ok=True), name
    hematoxylin = stain.stain_densities(image, "ruifrok_hdab")[..., 0]
    on_grid = block_reduce(hematoxylin, (block, block), np.mean)
    name = f"tissue_attention_correlation/hematoxylin_{layer}"
    assert found[name] == pytest.approx(pearson(gate, on_grid), abs=1e-9)
    total = block_reduce(stain.optical_density(image).sum(axis=2), (block, block), np.mean)
    assert found[f"tissue_attention_correlation_{layer}"] == pytest.approx(
        pearson(gate, total), abs=1e-9
    )
    test = modified_t_test(gate, total)
    assert found[f"tissue_attention_p_{layer}"] == pytest.approx(test.p, rel=1e-6)
    assert found[f"tissue_attention_ess_{layer}"] == pytest.approx(test.ess, rel=1e-6)


def test_tiles_have_p_values_as_often_as_people_look():
    one = analyze_frame(make_frame(tiles(1), step=19), IHC).samples[0]
    other = analyze_frame(make_frame(tiles(1), step=20), IHC).samples[0]
    tested = {
        name for name in other if name.startswith(("tissue_attention_p", "tissue_attention_ess"))
    }
    assert len(tested) == 32
    assert set(one) == set(other) - tested
    assert one == pytest.approx({name: other[name] for name in one}, rel=1e-12, nan_ok=True)
    assert tested <= set(analyze_frame(make_frame(tiles(1), phase="val", step=3), IHC).samples[0])


def test_local_texture_is_spread_over_the_cells_of_the_gate():
    image, gate, found = FRAME.input[1], FRAME.attention["bam_384"][1], RESULT.samples[1]
    energy = texture.local_glcm(image)["texture_energy"]
    expected = pearson(gate, np.kron(energy, np.ones((4, 4))))
    name = "tissue_attention_correlation/glcm_energy_bam_384"
    assert found[name] == pytest.approx(expected, abs=1e-9)


def test_every_layer_has_every_number():
    features = set(FEATURES) - {"eosin"}
    names = {name for name in layer_names() if not name.endswith("/eosin")}
    for layer in GRIDS:
        assert {f"{name}_{layer}" for name in names} <= set(RESULT.row)
    kept = analyze_frame(make_frame(tiles(), phase="val"), IHC).tile_maps[0]
    expected = {f"{side}x{side}/{name}" for side in GRIDS.values() for name in features}
    expected |= {f"{side}x{side}/nuclei" for side in GRIDS.values()}
    assert set(kept) == expected | {f"attention/{layer}" for layer in GRIDS}
    assert all(maps.dtype == np.float32 for maps in kept.values())


def test_training_tiles_keep_no_maps():
    assert list(RESULT.tile_maps) == []


def test_a_tiles_own_pixel_size_wins_over_the_runs():
    wide = analyze_frame(make_frame(tiles(1), mpp=0.25), IHC).samples[0]
    labels = nuclei.segment(tiles(1)[0], mpp=0.25)
    expected = nuclei.features(labels, mpp=0.25)
    assert wide["nuclear_density"] == pytest.approx(expected["nuclear_density"], nan_ok=True)


@pytest.mark.parametrize("value", [0, 255])
def test_tiles_of_nothing_are_undefined_and_counted(value):
    result = analyze_frame(make_frame(np.full((2, 64, 64, 3), value, np.uint8)), TissueFacts())
    assert result.row["nuclear_count"] == 0
    assert result.row["tiles_without_nuclei"] == 2
    assert result.row["tiles_without_tissue"] == (2 if value else 0)
    assert result.row["nuclear_attention_undefined_bam_384"] == 2
    assert np.isnan(result.row["nuclear_attention_auc_bam_384"])
    assert np.isnan(result.row["tissue_attention_correlation_bam_384"])
    assert np.isnan(result.row["hematoxylin_intensity"]) == bool(value)
