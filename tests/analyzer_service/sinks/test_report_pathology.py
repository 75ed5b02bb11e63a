"""The report's pathology part, of a run whose gates are known to follow the tissue, or not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer_service.analyses.run_pathology import Kind, RunPathology, TissueTest
from analyzer_service.analyses.texture import glcm_features
from analyzer_service.pipeline import Calls, PipelineSettings
from analyzer_service.sinks.report import PAGE_NAME, REPORT_NAME
from analyzer_service.sinks.report_batches import PhaseBatches, RunBatches
from analyzer_service.sinks.report_pathology import _warnings
from analyzer_service.sinks.report_tissue_tests import _reading, _sentence, _test_table
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import BatchFrame, Layer
from tests.analyzer_service.pipeline.driving import Said, run_whole
from tests.analyzer_service.sinks.tissue_runs import TILES, validated

SETTINGS = PipelineSettings(end_grace_s=0.0, calls=Calls())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with_workers = InlineWorkers()
    folder = run_whole(tmp_path_factory.mktemp("run"), with_workers, validated(), settings=SETTINGS)
    with_workers.close()
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    return (folder / REPORT_NAME).read_text()


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def section(report: str, start: str, end: str) -> str:
    return report[report.index(start) : report.index(end, report.index(start) + 1)]


def test_attention_that_follows_hematoxylin_is_said_to(report: str) -> None:
    layer = section(report, "#### `seeing`", "#### `habit`")
    (line,) = [line for line in layer.splitlines() if line.startswith("| hematoxylin, r")]
    assert "attention seeks hematoxylin" in line
    assert "times as often as chance, 95 % CI" in layer
    assert re.search(r"over 2\d tiles; with the nuclei of other tiles", layer)


def test_a_habit_is_no_effect_and_is_warned_of(report: str) -> None:
    layer = section(report, "#### `habit`", '"Own tissue"')
    lines = [line for line in layer.splitlines() if line.startswith("| ") and ", r" in line]
    assert len(lines) == 8
    assert all("no effect shown" in line for line in lines)
    assert "cannot be told from a habit" in layer
    assert "**`habit` looks at the same places whatever the tile shows**" in report
    assert "**`seeing` looks at" not in report


def test_a_constant_gate_is_not_said_to_lack_tiles(tmp_path: Path, workers: Workers) -> None:
    said = validated(tiles=8)
    flat = [
        frame.model_copy(
            update={"attention": frame.attention | {"habit": np.full((4, 16, 16), 0.5, np.float32)}}
        )
        for frame in said.frames
    ]
    text = text_of(tmp_path, workers, replace(said, frames=flat))
    layer = section(text, "#### `habit`", '"Own tissue"')
    assert "Attention of `habit` on nuclei: undefined (0 usable tiles)." in layer
    rows = [line for line in layer.splitlines() if ", r" in line]
    assert rows
    assert all("| too few usable tiles" in line and line.endswith(" 0 |") for line in rows)
    assert "a constant gate" in text


@pytest.mark.parametrize(
    ("by_epoch", "warned"),
    [
        ((0.95, 0.95, 0.55), None),
        ((0.1, 0.1, 0.9), "0.90"),
        ((0.1, 0.85, np.nan), "0.85"),
        ((np.nan, np.nan, np.nan), None),
    ],
)
def test_habits_are_warned_of_as_they_are_at_the_end(
    by_epoch: tuple[float, ...], warned: str | None
) -> None:
    name = "attention_gate_attention_position_bias"
    val = PhaseBatches()
    for bias in by_epoch:
        val.metrics.add({name: bias})
    epochs = [{"phase": "val", "epoch": epoch, name: bias} for epoch, bias in enumerate(by_epoch)]
    batches = RunBatches({"train": PhaseBatches(), "val": val}, epochs, 0.0, 1.0)
    found = _warnings([Layer(name="gate", kind="attention")], batches)
    assert len(found) == (warned is not None)
    assert all(f"(position bias {warned})" in each for each in found)


def test_one_unnamed_slide_is_said_to_be_one(report: str) -> None:
    assert f"{TILES} distinct validation tiles of epoch 0, slides that are not named" in report
    assert "say nothing of others" in report


def test_slides_are_permuted_and_said(tmp_path: Path, workers: Workers) -> None:
    said = validated(slides=("a", "b", "c", "d", "e", "f"))
    folder = run_whole(tmp_path, workers, said, settings=SETTINGS)
    text = (folder / REPORT_NAME).read_text()
    assert f"{TILES} distinct validation tiles of epoch 0, 6 slides" in text
    assert "exchanged between slides; intervals are over slides" in text


def test_too_few_tiles_are_said_to_be_too_few(tmp_path: Path, workers: Workers) -> None:
    said = validated(tiles=4)
    few = replace(said, frames=[without_tiles(said.frames[0], 3)])
    text = (run_whole(tmp_path, workers, few, settings=SETTINGS) / REPORT_NAME).read_text()
    assert "3 validation tiles with maps: at least 4 are needed" in text


def test_the_tissue_stands_there_in_numbers(report: str) -> None:
    tissue = section(report, "## Pathology", "### Does attention")
    assert "hematoxylin and DAB; fixed stain vectors (Ruifrok's). Scale: 0.5 µm a pixel." in tissue
    for name in ("tissue_fraction", "dab_intensity", "nuclear_count", "texture_contrast"):
        assert f"`{name}`" in tissue
    assert "eosin" not in tissue


def without_tiles(frame: BatchFrame, kept: int) -> BatchFrame:
    """The first tiles of a frame alone."""
    arrays = {name: getattr(frame, name)[:kept] for name in ("input", "reconstruction")}
    attention = {name: maps[:kept] for name, maps in frame.attention.items()}
    return frame.model_copy(
        update={**arrays, "attention": attention, "samples": frame.samples[:kept]}
    )


def text_of(tmp_path: Path, workers: Workers, said: Said) -> str:
    return (run_whole(tmp_path, workers, said, settings=SETTINGS) / REPORT_NAME).read_text()


@pytest.mark.parametrize("kind", ["other grid", "fewer layers"])
def test_tiles_with_other_maps_are_left_out_by_number(
    tmp_path: Path, workers: Workers, kind: str
) -> None:
    said = validated()
    maps = said.frames[2].attention
    other = (
        {name: np.kron(gates, np.ones((1, 2, 2), np.float32)) for name, gates in maps.items()}
        if kind == "other grid"
        else {"seeing": maps["seeing"]}
    )
    frames = list(said.frames)
    frames[2] = frames[2].model_copy(update={"attention": other})
    text = text_of(tmp_path, workers, replace(said, frames=frames))
    assert f"{TILES - 4} distinct validation tiles of epoch 0" in text
    assert "(4 more are left out: their maps have other sizes or layers)" in text
    assert "#### `seeing`" in text
    assert "#### `habit`" in text


def test_tiles_of_unknown_slides_are_not_said_to_be_of_the_known_one(
    tmp_path: Path, workers: Workers
) -> None:
    text = text_of(tmp_path, workers, validated(slides=("a", None)))
    assert "of epoch 0, 1 slide and 12 tiles whose slide is not named." in text
    assert "they hold for the slides of these tiles and say nothing of others" in text


def test_one_tile_of_an_unknown_slide_does_not_cost_the_slides_of_the_others(
    tmp_path: Path, workers: Workers
) -> None:
    said = validated(slides=("a", "b", "c", "d", "e", "f"))
    first = said.frames[0]
    nameless = first.samples[0].model_copy(update={"slide": None})
    frames = [first.model_copy(update={"samples": (nameless, *first.samples[1:])})]
    text = text_of(tmp_path, workers, replace(said, frames=[*frames, *said.frames[1:]]))
    assert f"{TILES - 1} distinct validation tiles of epoch 0, 6 slides (1 more is left out" in text
    assert "their slides are not named). Tissue was exchanged between slides" in text


def test_p_values_of_unnamed_slides_are_warned_of(
    report: str, tmp_path: Path, workers: Workers
) -> None:
    warning = "If they are of several slides, whose tiles resemble each other, p-values are too"
    assert warning in report
    of_one = text_of(tmp_path, workers, validated(slides=("a",)))
    assert "so they hold for this slide and say nothing of others." in of_one
    assert warning not in of_one


def test_a_run_that_names_no_gate_is_not_said_to_lack_tiles(
    tmp_path: Path, workers: Workers
) -> None:
    said = validated()
    started = said.started.model_copy(update={"layers": (), "primary_layer": None})
    nameless = replace(said, started=started, records=[started, *said.records[1:]])
    text = text_of(tmp_path, workers, nameless)
    assert "None of the run's attention layers has maps of the validation tiles" in text
    assert "are needed" not in text


@pytest.mark.parametrize(
    ("sizes", "unit", "words"),
    [
        ((None,), "/10⁴ px", "pixel size not known, so sizes are in pixels"),
        ((0.25, 0.5), "/mm²", "0.25 to 0.5 µm a pixel."),
        ((0.5, None), "/mm² or /10⁴ px", "0.5 µm a pixel; not known of 2 tiles"),
    ],
)
def test_sizes_have_the_unit_that_they_were_measured_in(
    tmp_path: Path, workers: Workers, sizes: tuple[float | None, ...], unit: str, words: str
) -> None:
    said = validated(tiles=4)
    started = said.started.model_copy(update={"mpp": None})
    samples = tuple(
        sample.model_copy(update={"mpp": sizes[i % len(sizes)]})
        for i, sample in enumerate(said.frames[0].samples)
    )
    frame = said.frames[0].model_copy(update={"samples": samples})
    unscaled = replace(said, started=started, records=[started, *said.records[1:]], frames=[frame])
    text = text_of(tmp_path, workers, unscaled)
    (line,) = [line for line in text.splitlines() if line.startswith("| `nuclear_density`")]
    assert line.split("|")[-2].strip() == unit
    assert words in text


@pytest.mark.parametrize(
    ("kind", "own", "other", "cell", "sentence"),
    [
        ("enrichment", 1.5, 1.1, "attention seeks nuclei", "seeks the nuclei of the tile"),
        ("enrichment", 0.5, 0.9, "attention avoids nuclei", "avoids the nuclei of the tile"),
        (
            *("enrichment", 1.5, 2.0),
            *("attention seeks nuclei, less than by habit", "falls on nuclei, but less than"),
        ),
        (
            *("enrichment", 0.7, 0.5),
            *("attention avoids nuclei, less than by habit", "keeps away from nuclei, but less"),
        ),
        ("correlation", -0.1, -0.3, "attention avoids dense nuclei, less than by habit", ""),
        ("auc", 0.4, 0.3, "attention avoids nuclei, less than by habit", ""),
    ],
)
def test_words_do_not_contradict_the_numbers_beside_them(
    kind: Kind, own: float, other: float, cell: str, sentence: str
) -> None:
    feature = "nuclear_density" if kind == "correlation" else "nuclei"
    effect = (own - other, own - other - 0.1, own - other + 0.1)
    test = TissueTest("gate", kind, feature, 20, own, own, own, other, *effect, 0.001, 0.002)
    assert _reading(test) == cell
    if sentence:
        assert sentence in _sentence("gate", RunPathology(20, 0, False, (test,)))


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.1), (0.0, 1.0), (-1.0, 0.0)])
def test_no_direction_is_claimed_where_the_interval_of_the_difference_holds_0(
    low: float, high: float
) -> None:
    test = make_test(effect=(low + high) / 2, effect_low=low, effect_high=high)
    assert _reading(test) == "attention depends on nuclei, which way is not shown"
    sentence = _sentence("gate", RunPathology(20, 2, True, (test,)))
    assert "whether it seeks or avoids them is not shown (adjusted p 0.002)" in sentence


def test_every_direction_in_the_report_has_an_interval_beside_it_without_0(
    tmp_path: Path, workers: Workers
) -> None:
    text = text_of(tmp_path, workers, validated(slides=("a", "b")))
    words = {True: set[str](), False: set[str]()}
    row = r"^\| .*\| +\S+ \((\S+) to (\S+)\) \| +(?:\d\S+|< 0.001) \| (.*?) +\| "
    for low, high, said in re.findall(row, text, flags=re.MULTILINE):
        sides = [float(side.replace("−", "-")) for side in (low, high)]
        words[sides[0] <= 0 <= sides[1]].add(said)
    assert "attention seeks hematoxylin" in words[False]
    assert any("which way is not shown" in said for said in words[True])
    assert not any("seeks" in said or "avoids" in said for said in words[True])


@pytest.mark.parametrize(
    ("own", "other", "cell", "sentence"),
    [
        (1.05, 1.5, "less attention to nuclei than by habit", "So less of it falls on nuclei"),
        (0.95, 0.5, "more attention to nuclei than by habit", "So more of it falls on nuclei"),
        (1.05, 0.5, "attention seeks nuclei", "So it seeks the nuclei"),
        (0.95, 1.5, "attention avoids nuclei", "So it avoids the nuclei"),
    ],
)
def test_what_may_be_chance_is_not_said_to_be_sought_or_avoided_in_all(
    own: float, other: float, cell: str, sentence: str
) -> None:
    effect = own - other
    limits = {"effect": effect, "effect_low": effect - 0.1, "effect_high": effect + 0.1}
    test = make_test(matched=own, low=0.9, high=1.1, mismatched=other, **limits)
    assert _reading(test) == cell
    assert sentence in _sentence("gate", RunPathology(20, 0, False, (test,)))


@pytest.mark.parametrize("feature", ["glcm_contrast", "glcm_homogeneity", "glcm_energy"])
def test_texture_is_called_coarse_only_where_coarse_grain_has_more_of_it(feature: str) -> None:
    grain = np.random.default_rng(0).random((32, 32))
    name = feature.replace("glcm", "texture")
    fine, coarse = (
        glcm_features(np.kron(grain[:side, :side], np.ones((32 // side,) * 2)))[name]
        for side in (32, 4)
    )
    words = _reading(make_test(kind="correlation", feature=feature))
    assert "coarse" not in words or coarse > fine
    assert "fine" not in words or fine > coarse


@pytest.mark.parametrize(
    ("own", "low", "high", "words"),
    [
        (0.002, 0.001, 0.004, "0.00200 times as often as chance, 95 % CI 0.00100 to 0.00400"),
        (1.8, -5.2, 8.8, "1.80 times as often as chance, 95 % CI −5.20 to 8.80"),
        (12345.678, 1e3, 2e7, "12,346 times as often as chance, 95 % CI 1,000 to 2.00e7"),
    ],
)
def test_the_sentence_gives_its_numbers_as_the_table_does(
    own: float, low: float, high: float, words: str
) -> None:
    test = make_test(matched=own, low=low, high=high)
    outcome = RunPathology(20, 0, False, (test,))
    assert words in _sentence("gate", outcome)
    sides = [part.split(" times")[0] for part in words.split(" as often as chance, 95 % CI ")]
    assert f"{sides[0]} ({sides[1]})" in _test_table("gate", outcome)


@pytest.mark.parametrize(
    ("p", "shown", "cell"),
    [
        (0.0004, "< 0.001", "attention seeks nuclei"),
        (0.0496, "0.050", "attention seeks nuclei"),
        (0.05, "0.050", "attention seeks nuclei"),
        (0.0504, "> 0.050", "no effect shown"),
        (0.0506, "0.051", "no effect shown"),
        (1.0, "1.000", "no effect shown"),
    ],
)
def test_a_p_reads_as_the_words_beside_it(p: float, shown: str, cell: str) -> None:
    test = make_test(p=p, p_adjusted=p)
    row = _test_table("gate", RunPathology(20, 0, False, (test,))).splitlines()[-1]
    assert [part.strip() for part in row.split("|")][5:7] == [shown, cell]


@pytest.mark.parametrize(("tiles", "why"), [(3, "too few usable tiles"), (6, "too few slides")])
def test_what_is_not_tested_is_not_said_to_be_undefined(tiles: int, why: str) -> None:
    unknown = ("low", "high", "mismatched", "effect", "effect_low", "effect_high")
    test = make_test(n=tiles, **dict.fromkeys((*unknown, "p", "p_adjusted"), np.nan))
    assert _sentence("gate", RunPathology(20, 2, True, (test,))) == (
        "Attention of `gate` falls on nuclei (found *approximately*) 1.50 times as often as chance "
        f"over {tiles} tiles: {why} to test whether it follows them."
    )


def make_test(**overrides: Any) -> TissueTest:
    """A significant test: attention falls on nuclei 1.5 times as often as chance."""
    fields = {"layer": "gate", "kind": "enrichment", "feature": "nuclei", "n": 20}
    numbers = {"matched": 1.5, "low": 1.2, "high": 1.8, "mismatched": 1.0}
    effect = {"effect": 0.5, "effect_low": 0.2, "effect_high": 0.8, "p": 0.001, "p_adjusted": 0.002}
    return TissueTest(**(fields | numbers | effect | overrides))  # type: ignore[arg-type]


def test_charts_stand_at_their_layer_and_show_the_table_s_numbers(
    folder: Path, report: str
) -> None:
    page = (folder / PAGE_NAME).read_text("utf-8")

    shown = page.split('id="pathology"')[1].split('id="performance-summary"')[0]
    for part, name in zip(shown.split("<h4>")[1:], ("seeing", "habit"), strict=True):
        assert part.startswith(f"<code>{name}</code>")
        (words,) = re.findall(r"<title>(Correlation of .*?)</title>", part)
        assert "Attention on nuclei over the run, AUC" in part
        table = report.split(f"#### `{name}`")[1].split("#### ")[0]
        for feature in ("tissue", "hematoxylin", "nuclear density"):
            (line,) = [x for x in table.splitlines() if x.startswith(f"| {feature}, r ")]
            own, other = (cell.strip() for cell in line.split("|")[2:4])
            value, low, high = re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", own).groups()  # type: ignore[union-attr]
            said = f"{feature}: {value}, interval {low} to {high}, with other tiles&#39; tissue"
            assert f"{said} {other}." in words
