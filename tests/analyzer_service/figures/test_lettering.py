from analyzer_service.figures.lettering import BODY, plain, text_width
from analyzer_service.figures.sheet import Sheet


def test_what_the_font_lacks_becomes_a_question_mark() -> None:
    assert plain("组织\n切片\x00 µm ✓ ▲ ▼ …") == "?? ??? µm ✓ ▲ ▼ …"


def test_text_is_cut_to_its_width() -> None:
    line = Sheet().text((10, 100), "slide_" * 40, BODY, width=120)
    assert text_width(line.text, BODY) <= 120
    assert line.text.startswith("slide")
    assert line.text.endswith("_")


def test_lines_end_at_or_lie_around_their_anchor() -> None:
    width = text_width("1,200", BODY)
    assert Sheet().text((100, 50), "1,200", BODY.right()).x == 100 - width
    assert Sheet().text((100, 50), "1,200", BODY.center()).x == 100 - width / 2
