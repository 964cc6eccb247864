"""Tables and paragraphs that fit a width."""

from __future__ import annotations

import pytest

from astro_calib.night.common.text import columns, glued, listed, paragraph

ROWS = [
    ("file", "object", "SNR\nbefore / after", "bad"),
    ("d1048.fits.gz", "NGC 4147", "34.5 / 36.0", "12268"),
    ("a-name-that-is-longer-than-most-of-them_2023-09-15_0001.fits", "M 13", "9.5 / 9.6", "0"),
]


def cells(lines):
    return " ".join(" ".join(lines).split())


def test_a_table_that_fits_is_one_line_a_row():
    lines = columns(ROWS, "<<>>", 120)
    assert lines == columns(ROWS, "<<>>")
    assert len(lines) == 4
    # The columns end where their headings end.
    assert len({len(line) for line in lines[1:]}) == 1
    assert lines[0].rstrip().endswith("SNR")
    assert lines[0].index("SNR") + 3 == lines[1].index("before / after") + len("before / after")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_table_that_does_not_fit_has_the_name_on_a_line_of_its_own_and_loses_nothing(width):
    lines = columns(ROWS, "<<>>", width)
    for row in ROWS[1:]:
        for cell in row:
            assert cell in cells(lines)
    # A name is not cut, however long it is.
    assert all(len(line) <= width for line in lines if "_0001.fits" not in line)
    # The numbers of a frame are below its name.
    assert cells(lines).index("d1048") < cells(lines).index("34.5") < cells(lines).index("a-name")


@pytest.mark.parametrize("width", [50, 60, 80])
def test_text_in_the_last_column_is_folded_between_its_items(width):
    items = [f"{number} too sharp" for number in range(100, 110)]
    lines = columns([("d1048.fits.gz", listed(items)), ("d1.fits.gz", "-")], "<<", width)
    assert all(len(line) <= width for line in lines)
    assert cells(lines) == "d1048.fits.gz " + ", ".join(items) + " d1.fits.gz -"
    for item in items:
        assert any(item in line for line in lines)
    # What follows stands below what is said first.
    assert {len(line) - len(line.lstrip()) for line in lines[1:-1]} == {lines[0].index("100")}


def test_a_word_without_room_in_the_last_column_has_a_line_below():
    lines = columns([("kind", "files"), ("science", "x" * 60)], "<<", 64)
    assert lines == ["  kind     files", "  science", "      " + "x" * 60]
    assert columns([("kind", "files"), ("science", "x" * 60)], "<<", 80)[1] == f"  science  {'x' * 60}"


def test_a_paragraph_keeps_names_with_spaces_and_words_that_are_too_long():
    name = "my first frame.fits"
    lines = paragraph(f"{glued(name)}: {'x' * 50} and no more", 40)
    assert any(name in line for line in lines)
    assert any("x" * 50 in line for line in lines)
    assert paragraph("a b", None) == ["  a b"]
    assert paragraph("", 40) == []


def test_a_name_cannot_add_lines_to_a_table():
    (line,) = columns([(glued("a\nb\x1b[2J.fits"), "1")], "<>", 80)
    assert line == "  a?b?[2J.fits  1"
