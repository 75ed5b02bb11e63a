import math
from typing import Any

import pytest

from analyzer_service.figures.dashboard import draw_sheet
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.panels.pathology import (
    attention_facts,
    has_pathology,
    position_warning,
    remark,
    tissue_facts,
)
from shared.messages import Sample
from tests.analyzer_service.figures.cases import frame, normal, pathology, row, run
from tests.analyzer_service.figures.hard_cases import CASES

SENTENCE = "Attention looks at the same places whatever the tile shows: bias 0.93"


def of(**values: Any) -> DashboardData:
    return normal(row=row(**values))


def words(data: DashboardData) -> list[str]:
    return [line.text for line in draw_sheet(data).written]


def test_nuclei_and_stains_are_told_in_the_units_of_pathologists() -> None:
    assert dict(tissue_facts(normal())) == {
        "Nuclei per tile": "11.2",
        "Nuclear density": "2,747 /mm²",
        "Nuclear area": "18.2 %",
        "Hematoxylin · DAB, OD": "0.24 · 0.41",
    }
    assert remark(normal()) == "tissue covers 81.3 %"


def test_attention_is_compared_with_chance_and_with_tissue() -> None:
    assert dict(attention_facts(normal())) == {
        "Attention on nuclei": "1.8 × chance",
        "AUC on nuclei": "0.68",
        "Correlation with tissue": "0.41",
        "strongest: nuclear density": "0.52",
    }


def test_the_strongest_correlation_may_be_negative() -> None:
    facts = attention_facts(of(**{"tissue_attention_correlation/dab": -0.71}))
    assert facts[-1] == ("strongest: DAB", "−0.71")


def test_stains_are_those_that_were_measured() -> None:
    values = {key: value for key, value in row().items() if key != "dab_intensity"}
    data = normal(row=values | {"eosin_intensity": 0.3})
    assert ("Hematoxylin · eosin, OD", "0.24 · 0.30") in tissue_facts(data)
    both = of(dab_intensity=math.nan, eosin_intensity=0.3)
    assert ("Hematoxylin · eosin, OD", "0.24 · 0.30") in tissue_facts(both)
    half = of(dab_intensity=math.nan)
    assert ("Hematoxylin · DAB, OD", "0.24 · undefined") in tissue_facts(half)


def test_nuclei_are_counted_per_pixels_where_the_pixel_size_is_unknown() -> None:
    unknown = {"run": run(mpp=None), "row": row(nuclear_density=6.87)}
    shown = normal(frame=frame(sample=Sample(id="tile-7")), **unknown)
    assert ("Nuclear density", "6.87 per 10⁴ px") in tissue_facts(shown)
    # Without the frame nobody knows which of both it is.
    names = [label for label, _ in tissue_facts(normal(frame=None, tile=None, **unknown))]
    assert names == ["Nuclei per tile", "Nuclear area", "Hematoxylin · DAB, OD"]


def test_undefined_is_said_and_has_no_unit() -> None:
    data = of(**dict.fromkeys(pathology(), math.nan))
    facts = [*tissue_facts(data), *attention_facts(data)]
    assert len(facts) == 7
    assert {value for _, value in facts} == {"undefined"}
    assert remark(data) == ""


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"tissue_fraction": 0.0}, "no tissue in these tiles"),
        ({"tissue_fraction": 0.5, "nuclear_count": 0.0}, "tissue covers 50.0 % · no nuclei found"),
        ({"tissue_fraction": math.nan, "nuclear_count": 0.0}, "no nuclei found"),
    ],
)
def test_little_tissue_is_said_in_words(values: dict[str, float], text: str) -> None:
    assert remark(of(**values)) == text
    assert text in words(of(**values))


def test_older_runs_and_dropped_frames_have_no_block() -> None:
    assert has_pathology(normal())
    assert "Pathology" in words(normal())
    for data in (CASES["older_run"](), of(samples=0)):
        assert not has_pathology(data)
        assert "Pathology" not in words(data)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"attention_position_bias": 0.93}, SENTENCE),
        ({"attention_position_bias": 0.8}, SENTENCE.replace("0.93", "0.80")),
        ({"attention_position_bias": 0.79}, ""),
        ({"attention_position_bias": math.nan}, ""),
        ({"attention_position_bias": 0.93, "samples": 1}, ""),
    ],
)
def test_attention_that_ignores_the_tile_is_warned_of(values: dict[str, float], text: str) -> None:
    assert position_warning(of(**values)) == text
    assert [word for word in words(of(**values)) if word.startswith("Attention looks")] == (
        [text] if text else []
    )


def test_an_older_run_is_warned_too() -> None:
    older = CASES["older_run"]()
    assert SENTENCE in words(normal(row={**older.row, "attention_position_bias": 0.93}))
