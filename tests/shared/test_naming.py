import pytest

from shared.errors import ConfigurationError, SidelightError
from shared.naming import attention_key, check_run_name, is_layer_name, run_folder_name


@pytest.mark.parametrize("name", ["demo", "2026-01-01_run.3", "A", "a" * 120])
def test_plain_names_are_taken(name: str) -> None:
    assert check_run_name(name) == name
    assert run_folder_name(name) == f"auto_analysis_{name}"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "/abs", ".hidden", "-flag", "_x", "a b", "a\n", "a\0",
     "é", "a" * 121, "C:", "a" * 10_000],
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a plain file name") as caught:
        run_folder_name(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_layer_names_can_stand_in_a_key() -> None:
    assert is_layer_name("bam_384")
    assert not any(map(is_layer_name, ["", "a.b", "a b", "a/b", "a\n", "é", "a" * 65]))
    assert attention_key("bam_384", "gini") == "attention_bam_384_gini"


def test_every_error_is_one_of_ours() -> None:
    from shared import errors

    raised = [e for e in vars(errors).values() if isinstance(e, type)]
    assert len(raised) == 7
    assert all(issubclass(error, SidelightError) for error in raised)
