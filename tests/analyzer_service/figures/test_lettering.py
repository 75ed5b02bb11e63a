from analyzer_service.figures.lettering import BODY, CAPTION, STRONG, plain, text_width
from analyzer_service.figures.sheet import Sheet, own_settings


def test_what_the_font_lacks_becomes_a_question_mark() -> None:
    assert plain("组织\n切片\x00 µm ✓ ▲ ▼ …") == "?? ??? µm ✓ ▲ ▼ …"


def test_widths_are_those_that_are_drawn() -> None:
    with own_settings():
        sheet = Sheet()
        for lettering in (BODY, CAPTION, STRONG):
            text = sheet.text((10, 100), "immunohistochemistry.png · row 1", lettering)
            assert text.get_window_extent().width == text_width(text.get_text(), lettering)


def test_text_is_cut_to_its_width() -> None:
    with own_settings():
        text = Sheet().text((10, 100), "slide_" * 40, BODY, width=120)
    assert text_width(text.get_text(), BODY) <= 125
    assert text.get_text().startswith("slide")
    assert text.get_text().endswith("_")
