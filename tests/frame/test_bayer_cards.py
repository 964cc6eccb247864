"""Which colour the pixels of a frame have: by its header, and after cuts, flips and steps."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame, colour_planes, trim_image

#: One number for each colour; the pixels of a frame tell theirs.
CODE = {"R": 1, "G1": 2, "G2": 3, "B": 4}
#: How the sensor looks from the top of the picture, as data sheets and programs give it.
LAYOUT = {
    "RGGB": [["R", "G1"], ["G2", "B"]],
    "BGGR": [["B", "G2"], ["G1", "R"]],
    "GRBG": [["G1", "R"], ["B", "G2"]],
    "GBRG": [["G2", "B"], ["R", "G1"]],
}


def picture(pattern, shape):
    """The picture from its top to its bottom, each pixel with the number of its colour."""
    tile = np.array([[CODE[colour] for colour in row] for row in LAYOUT[pattern]], dtype=np.uint16)
    return np.tile(tile, (shape[0] // 2 + 1, shape[1] // 2 + 1))[: shape[0], : shape[1]]


def frame_of(pixels, **cards):
    return CCDFrame(pixels, unit="adu", meta=fits.Header(cards), name="mosaic.fits")


def assert_planes_have_one_colour(frame):
    for colour, plane in colour_planes(frame).items():
        assert set(np.unique(plane.pixels)) == {CODE[colour]}
        assert plane.meta["CFAPLANE"] == colour
        assert "BAYERPAT" not in plane.meta


@pytest.mark.parametrize("shape", [(6, 8), (7, 9)])
@pytest.mark.parametrize("pattern", LAYOUT)
def test_the_pattern_begins_at_the_first_row_of_a_file_that_is_written_top_down(pattern, shape):
    pixels = picture(pattern, shape)
    assert_planes_have_one_colour(frame_of(pixels, BAYERPAT=pattern))
    assert_planes_have_one_colour(frame_of(pixels, BAYERPAT=pattern, ROWORDER="TOP-DOWN", XBAYROFF=0, YBAYROFF=0))
    assert_planes_have_one_colour(frame_of(pixels, COLORTYP=pattern))


@pytest.mark.parametrize("shape", [(6, 8), (7, 9)])
@pytest.mark.parametrize("pattern", LAYOUT)
def test_in_a_file_that_is_written_bottom_up_it_begins_at_the_last_row(pattern, shape):
    # "RGGB becomes GBRG if the image is upside-down": true of an even number of rows.
    frame = frame_of(picture(pattern, shape)[::-1], BAYERPAT=pattern, ROWORDER="BOTTOM-UP")
    assert_planes_have_one_colour(frame)


@pytest.mark.parametrize("order", ["TOP-DOWN", "BOTTOM-UP"])
@pytest.mark.parametrize("offset", [(0, 1), (1, 0), (3, 5)])
def test_a_subframe_begins_so_many_rows_and_columns_later(order, offset):
    whole = picture("GRBG", (12, 14))
    down, right = offset
    part = whole[down : down + 6, right : right + 8]
    frame = frame_of(
        part if order == "TOP-DOWN" else part[::-1], BAYERPAT="GRBG", ROWORDER=order, XBAYROFF=right, YBAYROFF=down
    )
    assert_planes_have_one_colour(frame)


CUTS = {
    "one row": np.s_[1:, :],
    "one column": np.s_[:, 1:],
    "odd height": np.s_[:5, :],
    "upside down": np.s_[::-1, :],
    "mirrored": np.s_[:, ::-1],
    "turned by half": np.s_[::-1, ::-1],
    "every third": np.s_[::3, 1::3],
    "backwards by threes": np.s_[9::-3, ::-1],
    "twice": np.s_[2:9, 3:],
}


@pytest.mark.parametrize("order", [{}, {"ROWORDER": "TOP-DOWN"}, {"ROWORDER": "BOTTOM-UP", "YBAYROFF": 1}], ids=str)
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_colours_follow_cuts_flips_and_steps(cut, order):
    pixels = picture("RGGB", (11, 14))
    if order.get("ROWORDER") == "BOTTOM-UP":
        pixels = pixels[:-1]
        shown = picture("RGGB", (12, 14))[1:][: len(pixels)]
        pixels = shown[::-1]
    frame = frame_of(pixels, BAYERPAT="RGGB", **order)
    before = frame.meta.tostring()
    part = frame[cut]
    assert_planes_have_one_colour(part)
    assert_planes_have_one_colour(part[1:, 1:])
    assert frame.meta.tostring() == before


def test_colours_follow_a_trim():
    frame = frame_of(picture("GBRG", (12, 14)), BAYERPAT="GBRG", BIASSEC="[13:14, 1:12]")
    assert_planes_have_one_colour(trim_image(frame, "[2:11, 4:12]"))


def test_a_frame_that_is_cut_where_the_pattern_begins_keeps_its_header():
    frame = frame_of(picture("RGGB", (8, 8)), BAYERPAT="RGGB")
    assert frame[2:6, 4:].meta is frame.meta


def test_half_a_pattern_is_none():
    rows = frame_of(picture("RGGB", (8, 8)), BAYERPAT="RGGB", XBAYROFF=0)[::2]
    assert not {"BAYERPAT", "XBAYROFF", "CFAPLANE"} & set(rows.meta)


@pytest.mark.parametrize("value", ["XTRANS", "RGBG", "0"])
def test_a_pattern_that_is_not_known_is_worth_a_remark(value):
    frame = frame_of(picture("RGGB", (8, 8)), BAYERPAT=value)
    with pytest.warns(UserWarning, match=f"mosaic.fits: BAYERPAT = '{value}' is no pattern of colours that is known"):
        assert frame[1:].meta["BAYERPAT"] == value


def test_frames_without_a_pattern_are_left_alone():
    frame = frame_of(picture("RGGB", (8, 8)), BAYERPAT="NONE", COLORTYP="MONO")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frame[1:].meta is frame.meta
