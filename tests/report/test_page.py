"""The report of a night: what it holds, that it is made again the same, and that it trusts nobody."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from astro_calib import reduce_night, simulate
from astro_calib.cli import main
from astro_calib.frame.shrink import grey_levels, shrunk
from astro_calib.report import page, summary_file
from astro_calib.report.canvas import PANELS
from astro_calib.report.charts import histogram_chart, ratio_chart, share_bar
from astro_calib.report.page import write_page
from astro_calib.report.star_lists import COMPONENTS, error_parts
from astro_calib.report.summary_file import read_summary
from astro_calib.report.thumbnails import thumbnails

SCRIPT = "<script>alert(1)</script>"
NAME = "<img src=x onerror=alert(2)>.fits"


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night whose headers and names try to be part of the page; its results."""
    directory = tmp_path_factory.mktemp("night")
    camera = simulate.camera((96, 128), seed=1, filters=["V"])
    simulate.night(directory / "raw", seed=1, camera=camera, science=2)
    (first, _) = sorted((directory / "raw").glob("science*"))
    fits.setval(first, "OBJECT", value=SCRIPT)
    fits.setval(first, "FILTER", value="V")
    first.rename(first.with_name(NAME))
    (directory / "raw" / "notes.fits").write_text(SCRIPT)
    return reduce_night(directory / "raw", directory / "out", progress=False)


@pytest.fixture
def copied(night, tmp_path):
    return shutil.copytree(night.out, tmp_path / "out")


def test_headers_and_names_are_text(night):
    text = (night.out / "report.html").read_text(encoding="utf-8")
    elements = Elements(text)
    assert SCRIPT not in text
    assert any(SCRIPT in one for one in elements.texts)
    assert any(NAME in one for one in elements.texts)
    # One script, our own, which the page's own policy lets run, and no handler in an attribute.
    assert len(elements.all("script")) == 1
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith(("on", "style"))]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in elements.all("img"))


def test_nothing_is_asked_of_a_network(night):
    elements = Elements((night.out / "report.html").read_text(encoding="utf-8"))
    (policy,) = [one["content"] for one in elements.all("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    places = [attributes[name] for _, attributes in elements.found for name in ("src", "href") if name in attributes]
    assert all(place.startswith(("data:", "#", "pictures/")) for place in places)
    assert [place for place in places if place.startswith("pictures/")]


def test_pictures_have_words_and_tables_have_heads(night):
    elements = Elements((night.out / "report.html").read_text(encoding="utf-8"))
    # Two frames and three masters, two images of each.
    assert len(elements.all("img")) == 10
    assert all(image["alt"] for image in elements.all("img"))
    for svg in elements.all("svg"):
        assert svg.get("aria-label") or svg.get("aria-hidden") == "true"
    assert sum(table.get("class") == "sortable" for table in elements.all("table")) == 3
    assert all(head["scope"] in {"col", "row"} for head in elements.all("th"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in elements.all("a") if link["href"].startswith("#")} <= set(ids)


def test_numbers_are_those_of_the_summary(night):
    text = (night.out / "report.html").read_text(encoding="utf-8")
    for frame in night.frames:
        assert f'data-v="{frame.sky.ratio}"' in text
        assert f"{frame.sky.level:.1f}" in text
    for master in night.masters:
        assert f"{master.noise_ratio:.3f}" in text
    assert f"numpy</th><td>{np.__version__}" in text
    # Five megabytes are for twenty frames; here are two frames and three masters.
    assert (night.out / "report.html").stat().st_size < 5e6 / 20 * 5


def test_json_is_what_the_summary_says(night):
    assert json.loads((night.out / "summary.json").read_text(encoding="utf-8")) == night.to_dict()


def test_command_makes_the_same_page(copied):
    before = (copied / "report.html").read_bytes()
    (copied / "report.html").unlink()
    made = CliRunner().invoke(main, ["report", str(copied)])
    assert made.exit_code == 0
    assert made.stdout == f"the report is {copied / 'report.html'}\n"
    assert (copied / "report.html").read_bytes() == before


def test_page_does_without_pictures_and_tables(copied):
    shutil.rmtree(copied / "pictures")
    shutil.rmtree(copied / "tables")
    elements = Elements(write_page(copied).read_text(encoding="utf-8"))
    assert not elements.all("img")
    assert not [link for link in elements.all("a") if link["href"].startswith("pictures")]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_broken_pictures_and_tables_cost_themselves_only(copied, content):
    for path in [*(copied / "pictures").iterdir(), *(copied / "tables").iterdir()]:
        path.write_bytes(content)
    assert not Elements(write_page(copied).read_text(encoding="utf-8")).all("img")


def png(size, panels):
    """The beginning of a picture of a size that is told, with places of images that are told."""
    content = io.BytesIO()
    info = PngInfo()
    info.add_text(PANELS, panels)
    Image.new("L", (8, 8)).save(content, format="png", pnginfo=info)
    header = b"IHDR" + struct.pack(">II", size, size) + content.getvalue()[24:29]
    return content.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + content.getvalue()[33:]


@pytest.mark.parametrize("size", [10_000, 16_000, 30_000])
def test_a_picture_that_would_be_huge_is_left_out(copied, size):
    for path in (copied / "pictures").iterdir():
        path.write_bytes(png(size, "[]"))
    assert not Elements(write_page(copied).read_text(encoding="utf-8")).all("img")


@pytest.mark.parametrize("panels", ["[[Infinity,0,1,1]]", "[[1e400,0,1,1]]", "[" * 100_000, "{", "[[0,0,9,9]]"])
def test_a_picture_that_says_absurd_things_of_its_images_is_shown_whole(copied, panels):
    for path in (copied / "pictures").iterdir():
        path.write_bytes(png(8, panels))
    write_page(copied)
    assert all(len(thumbnails(path)) == 1 for path in (copied / "pictures").iterdir())


def changed(path, change):
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    path.write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("science"), "it has no 'science'"),
        (
            lambda told: told["science"][0].update(stars="many"),
            r"science\[0\].stars is 'many'; expected a whole",
        ),
        (
            lambda told: told["science"][1]["sky"].update(ratio=[1]),
            r"science\[1\].sky.ratio is \[1\]; expected a",
        ),
        (lambda told: told.update(attention={"a": 1}), "attention is .*; expected a list"),
        (lambda told: told["science"][0]["histogram"].update(before=[0] * 5000), "expected a list of at most 2000"),
    ],
)
def test_foreign_json_is_refused_in_a_sentence(copied, change, said):
    before = (copied / "report.html").read_bytes()
    changed(copied / "summary.json", change)
    with pytest.raises(ValueError, match=f"json is not a summary that astro-calib reduce has written: .*{said}"):
        write_page(copied)
    assert (copied / "report.html").read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '{"outcome": NaN}', "\x00", '"text"'])
def test_broken_json_is_refused_in_a_sentence(copied, content):
    (copied / "summary.json").write_text(content, encoding="utf-8")
    made = CliRunner().invoke(main, ["report", str(copied)])
    assert made.exit_code == 1
    assert "is not a summary that astro-calib reduce has written" in made.stderr
    assert "Reduce the night again." in made.stderr


def test_long_json_is_not_even_read(copied, monkeypatch):
    monkeypatch.setattr(summary_file, "LARGEST", 1000)
    with pytest.raises(ValueError, match="bytes; a summary has at most 1000"):
        read_summary(copied)


def test_a_directory_without_results_is_named(tmp_path):
    made = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert made.exit_code == 1
    assert "summary.json is not there; give a directory with results" in made.stderr


def test_a_long_night_has_a_short_page(copied):
    def many(told):
        told["science"] = [
            {**told["science"][0], "raw_name": f"f{number}.fits", "sky": {**told["science"][0]["sky"], "ratio": number}}
            for number in range(500)
        ]
        told["remarks"] = [{"text": "look here", "files": ["f400.fits"]}]

    changed(copied / "summary.json", many)
    path = write_page(copied)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 5e6
    assert f"{page.DETAILED} of 500 frames are shown" in text
    # The one with a remark is among them.
    assert re.search(r'<a href="#frame-401">f400.fits</a>', text)
    assert len(Elements(text).all("tr")) > 1000


def test_blocks_are_means_of_their_good_pixels():
    rng = np.random.default_rng(1)
    image, good = rng.normal(size=(130, 67)), rng.uniform(size=(130, 67)) > 0.3
    small, block = shrunk(image, good, 50)
    assert (block, small.shape) == (3, (43, 22))
    for row, column in ((0, 0), (42, 21), (7, 13)):
        piece = np.s_[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        expected = image[piece][good[piece]].mean() if good[piece].sum() > 4.5 else np.nan
        np.testing.assert_allclose(small[row, column], expected, rtol=1e-5)
    assert shrunk(image, good, 200)[0].shape == image.shape
    thin, block = shrunk(np.ones((2, 100)), np.ones((2, 100), dtype=bool), 20)
    assert (block, thin.shape) == (5, (1, 20))


def test_first_row_is_at_the_bottom():
    levels = grey_levels(np.array([[0.0, 1.0], [np.nan, 2.0]], dtype=np.float32), (0.0, 1.0), 200, 250)
    assert levels.tolist() == [[250, 200], [0, 200]]


def test_shares_fill_the_bar():
    parts = share_bar({"read noise": 0.6, "shot noise": 0.39, "flat": 0.009, "overscan": 0.001})
    assert [(part["name"], part["width"]) for part in parts] == [
        ("read noise", 600.0),
        ("shot noise", 390.0),
        ("flat", 9.0),
    ]
    assert parts[2]["start"] == 990.0
    assert share_bar({}) == []


def test_histogram_of_absurd_numbers_is_no_chart():
    told = {"start": 0.0, "width": 0.0, "before": [1], "after": [1], "pixels": 1, "spreads": [1.0], "predicted": 1.0}
    assert histogram_chart(told) is None
    assert histogram_chart({**told, "width": 1.0, "after": []}) is None
    assert histogram_chart({**told, "width": 1.0}) is not None
    for absurd in ({"width": 1e-300, "before": [2**62]}, {"width": 5e-324}, {"width": 1e308, "start": 1e308}):
        assert histogram_chart({**told, **absurd}) is None


def test_absurd_stars_have_neither_chart_nor_parts():
    assert ratio_chart(np.array([1.7e308]), np.array([1.0])) is None
    stars = {name: np.array([1e200]) for name in ("flux", *COMPONENTS)}
    assert error_parts(stars, 0.5) == {}


def test_the_ratio_of_two_frames_is_between_them(copied):
    """Half of the frames are above it, and half below."""

    def two(told):
        for frame, ratio in zip(told["science"], (0.9, 1.1), strict=True):
            frame["sky"]["ratio"] = ratio

    changed(copied / "summary.json", two)
    assert "<dt>Sky noise / predicted</dt><dd>1.000</dd>" in write_page(copied).read_text(encoding="utf-8")


@pytest.mark.parametrize("shape", [(2, 5000), (1, 3000), (3000, 1)])
def test_a_picture_of_a_thin_frame_has_no_holes(shape):
    small, _ = shrunk(np.ones(shape), np.ones(shape, dtype=bool), 400)
    assert np.all(small == 1)
