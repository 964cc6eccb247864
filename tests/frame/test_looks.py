"""What a frame, its budget and its detector look like at the prompt, in a notebook and as a picture."""

from __future__ import annotations

import base64
import io
import re
import time
from html.parser import HTMLParser

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.utils.data import get_pkg_data_filename
from matplotlib.figure import Figure
from PIL import Image

from astro_calib import (
    Amplifier,
    CCDFrame,
    Correlation,
    Detector,
    LinearityPolynomial,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
)
from astro_calib.noise.shares import sample

CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=6 * u.electron, saturation=60000 * u.adu)
CARDS = {"OBJECT": "M 67", "FILTER": "V", "EXPTIME": 60.0}
#: What a header may hold to fool a browser or a terminal.
HOSTILE = "<script>alert(1)</script><b onclick='x'>\" & \x1b[31m\n\x07 \u202e" + "x" * 5000

#: The elements of a table.
TABLE = ("table", "thead", "tbody", "tr", "th", "td")


class Tags(HTMLParser):
    """The elements and the texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def framed(budget_of=((16.0, "shot noise"), (9.0, "read noise")), shape=(40, 60), **options):
    budget = UncertaintyBudget(shape, [(NoiseSource(name, variance), 1.0) for variance, name in budget_of])
    options = {"unit": "electron", "name": "m67.fits", "meta": CARDS} | options
    return CCDFrame(np.full(shape, 100.0), budget=budget, **options)


def thumbnail(frame):
    (address,) = [values["src"] for tag, values in Tags(frame._repr_html_()).elements if tag == "img"]
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_frame_says_what_it_is_and_what_its_error_is_made_of():
    mask = np.zeros((40, 60), dtype=bool)
    mask[:, :3] = True
    assert repr(framed(mask=mask)).split("\n") == [
        "<CCDFrame m67.fits: M 67, V, 60 s",
        " 60 columns x 40 rows in electron, 5% masked",
        " sigma 5: shot noise 64%, read noise 36%>",
    ]


def test_a_raw_frame_says_that_it_has_no_error_yet():
    raw = CCDFrame(np.full((40, 60), 100, dtype=np.uint16), unit="adu", name="raw.fits")
    assert repr(raw).split("\n") == [
        "<CCDFrame raw.fits",
        " 60 columns x 40 rows in adu, nothing masked",
        " no error yet: calibrate(frame, detector, ...) finds it>",
    ]
    assert "no error yet" in raw._repr_html_()


def test_a_budget_is_printed_as_a_table():
    budget = framed([(16.0, "shot noise"), (8.9999, "read noise"), (0.0001, "overscan")]).budget
    assert str(budget).split("\n") == [
        "source      sigma  share",
        "shot noise      4    64%",
        "read noise      3    36%",
        "overscan     0.01  <0.1%",
        "together        5   100%",
    ]
    page = Tags(budget._repr_html_())
    assert "".join(page.texts) == re.sub(r"(?<! noise)\s+(?!noise)|\s\s+", "", str(budget))
    assert str(UncertaintyBudget((2, 2))) == "exact: no source of noise"


def test_neither_stars_nor_bad_pixels_are_typical():
    rng = np.random.default_rng(4)
    variance = np.full((300, 300), 25.0)
    variance[rng.random(variance.shape) < 0.2] = 1e6
    variance[rng.random(variance.shape) < 0.1] = np.inf
    budget = UncertaintyBudget(variance.shape, [(NoiseSource("read noise", variance), 1.0)])
    assert str(budget).split("\n")[-1].split() == ["together", "5", "100%"]
    mask = variance == 25.0
    masked = CCDFrame(np.zeros(variance.shape), unit="adu", budget=budget, mask=mask)
    assert "sigma 1000" in repr(masked)


def test_the_typical_error_of_a_real_frame_is_the_median_of_its_pixels():
    raw = CCDFrame.read(get_pkg_data_filename("data/a8280271.fits", package="ccdproc.tests"), unit="adu")
    camera = Detector(gain=1.9 * u.electron / u.adu, read_noise=5 * u.electron)
    image = calibrate(raw, camera, overscan=raw.meta["BIASSEC"], trim=raw.meta["TRIMSEC"])
    told = float(re.search(r"sigma ([\d.]+):", repr(image))[1])
    assert told == pytest.approx(np.median(np.sqrt(image.variance)), rel=0.02)
    read_noise = np.mean(image.budget.variances()["read noise"]) / np.median(image.variance)
    share = float(re.search(r"read noise ([\d.]+)%", repr(image))[1]) / 100
    assert share == pytest.approx(read_noise, rel=0.05)


def test_lines_fit_a_terminal_and_nothing_of_a_header_becomes_code():
    names = [(float(number), f"source {number} <i>{HOSTILE[:60]}") for number in range(1, 9)]
    for cards in (dict.fromkeys(CARDS, HOSTILE), {"OBJECT": [1], "FILTER": None, "EXPTIME": float("nan")}):
        frame = framed(names, meta=cards, name=HOSTILE)
        for text in (repr(frame), str(frame.budget)):
            assert text.replace("\n", "").isprintable()
        assert max(map(len, repr(frame).split("\n"))) <= 79
        assert len(repr(frame)) < 2000
        elements = Tags(frame._repr_html_()).elements
        assert {tag for tag, _ in elements} == {
            *["div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "img"]
        }
        assert {name for _, values in elements for name in values} == {"style", "src", "alt"}
        assert {tag for tag, _ in Tags(frame.budget._repr_html_()).elements} == {
            *["table", "thead", "tbody", "tr", "th", "td"]
        }


def test_a_damaged_header_is_no_reason_not_to_show_a_frame():
    header = fits.Header.fromstring("OBJECT  = 'M 67    '" + " " * 60 + "EXPTIME = 1.2.3" + " " * 65 + "END" + " " * 77)
    assert repr(framed(meta=header)).startswith("<CCDFrame m67.fits: M 67\n")


@pytest.mark.parametrize("shape", [(), (0, 5), (5, 0), (1, 1), (7,), (2, 3, 4), (1, 5000), (3, 2000)], ids=str)
@pytest.mark.parametrize("value", [np.float32(3), np.uint16(3), np.nan, np.inf, True], ids=str)
def test_every_frame_can_be_shown(shape, value):
    data = np.full(shape, value)
    uncertainty = StdDevUncertainty(np.full(shape, np.nan))
    for options in ({}, {"mask": np.ones(shape, dtype=bool)}, {"uncertainty": uncertainty}):
        frame = CCDFrame(data, unit="adu", **options)
        assert repr(frame).startswith("<CCDFrame ")
        assert ("<img" in frame._repr_html_()) == (len(shape) == 2 and 0 not in shape)
        if options.get("uncertainty") is not None and frame.size:
            assert "no pixel has a known error" in repr(frame)


def test_a_thumbnail_shows_the_first_row_at_the_bottom_and_masked_pixels_in_red():
    data = np.random.default_rng(1).normal(0, 0.1, (900, 1200))
    data[:450, :600] += 100
    mask = np.zeros(data.shape, dtype=bool)
    mask[600:, 900:] = True
    picture = thumbnail(CCDFrame(data, unit="adu", mask=mask)).astype(int)
    assert picture.shape == (150, 200, 3)
    red, green, blue = picture[2:20, -20:].reshape(-1, 3).T
    assert (red > green + 50).all()
    assert (red > blue + 50).all()
    assert picture[100:140, 10:80].mean() > picture[10:60, 10:80].mean() + 100
    assert np.ptp(picture[10:60, 10:80], axis=-1).max() == 0


def test_looking_at_a_frame_leaves_it_as_it_is():
    """Whoever asks for ``data`` may write into it, which costs a checksum; looking does not."""
    raws = [CCDFrame(np.random.default_rng(n).poisson(1000, (60, 60)).astype(np.uint16), unit="adu") for n in range(2)]
    images = [calibrate(raw, CAMERA, pedestal=500) for raw in raws]
    stack = combine(images)
    for frame in (*images, stack):
        before = frame.budget, frame._guard.was_exposed
        for look in (repr, CCDFrame._repr_html_, lambda one: one.plot(Figure().subplots())):
            look(frame)
        assert (frame.budget, frame._guard.was_exposed) == before
    assert float(np.median((images[0] - stack).variance)) == pytest.approx(np.median(images[0].variance) / 2, rel=0.1)


def test_a_look_takes_no_time():
    """50 ms of one processor at 2048 x 2048; it is 10."""
    raw = CCDFrame(np.random.default_rng(5).integers(1000, 1100, (2048, 2048), dtype=np.uint16), unit="adu")
    image = calibrate(raw, CAMERA, pedestal=500)
    taken = []
    for _ in range(5):
        start = time.process_time()
        repr(image)
        image._repr_html_()
        taken.append(time.process_time() - start)
    assert min(taken) < 0.05


@pytest.mark.parametrize("shape", [(10,), (300, 300), (2048, 2048), (4096, 16), (30, 500, 500), (1, 10**6)], ids=str)
def test_a_sample_has_even_and_odd_columns_and_is_no_larger_than_needed(shape):
    item = sample(shape)
    number = np.prod([len(range(*part.indices(length))) for part, length in zip(item, shape, strict=True)])
    assert min(np.prod(shape), 5000) <= number <= 200_000
    assert all((part.step or 1) % 2 for part in item)


def test_a_detector_is_told_in_a_line():
    gain, noise = 1.5 * u.electron / u.adu, 8 * u.electron
    assert repr(CAMERA) == "<Detector 'detector': gain 2 electron / adu, read noise 6 electron, saturation 60000 adu>"
    full = Detector(
        gain=gain,
        read_noise=noise,
        name="ccd1",
        linearity=LinearityPolynomial([1e-6], limit=6e4 * u.adu),
        correlation=Correlation(row=0.1),
    )
    assert repr(full) == "<Detector 'ccd1': gain 1.5 electron / adu, read noise 8 electron, linearity, correlation>"
    halves = [
        Amplifier(gain=gain * factor, read_noise=noise, data_section=section)
        for factor, section in ((1, "[1:5,1:9]"), (1.2, "[6:10,1:9]"))
    ]
    expected = "<Detector 'detector': 2 amplifiers, gain 1.5 to 1.8 electron / adu, read noise 8 electron>"
    assert repr(Detector(amplifiers=halves)) == expected


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_picture_has_each_pixel_at_its_place():
    data = np.zeros((2500, 3000), dtype=np.float32)
    data[1200:1300, 600:700] = 50
    mask = np.zeros(data.shape, dtype=bool)
    mask[:300] = True
    axes = CCDFrame(data, unit="adu", mask=mask, name="big.fits").plot(Figure().subplots())
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    shown = image.get_array()
    rows, columns = shown.shape
    row, column = np.unravel_index(np.nanargmax(np.where(np.isfinite(shown), shown, -1)), shown.shape)
    assert left + (column + 0.5) * (right - left) / columns == pytest.approx(600, abs=6)
    assert bottom + (row + 0.5) * (top - bottom) / rows == pytest.approx(1200, abs=6)
    assert np.ma.getmaskarray(np.ma.masked_invalid(shown))[:95].all()
    assert axes.get_title() == "big.fits"
    assert axes.figure.axes[1].get_ylabel() == "adu"


@pytest.mark.parametrize("shape", [(3, 4, 5), (7,), (0, 5)], ids=str)
def test_what_is_no_image_has_no_picture(shape):
    with pytest.raises(ValueError, match=r"cube\.fits has shape .*two axes"):
        CCDFrame(np.zeros(shape), unit="adu", name="cube.fits").plot()


def test_a_budget_draws_its_shares():
    axes = Figure().subplots()
    assert framed().budget.plot(axes) is axes
    assert [float(bar.get_width()) for bar in axes.patches] == [64.0, 36.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shot noise", "read noise"]
    assert [text.get_text() for text in axes.texts] == ["4  (64%)", "3  (36%)"]
    assert axes.get_title() == "sigma 5 of a typical pixel"


def test_without_axes_a_picture_is_in_a_figure_of_pyplot():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    try:
        axes = [framed().plot(), framed().budget.plot()]
        assert [plt.figure(number) for number in plt.get_fignums()][-2:] == [one.figure for one in axes]
    finally:
        plt.close("all")


@pytest.mark.parametrize("wrong", [Figure(), "axes", 3, np.zeros(2)], ids=lambda value: type(value).__name__)
def test_a_picture_is_drawn_on_axes(wrong):
    for draw in (framed().plot, framed().budget.plot):
        with pytest.raises(TypeError, match=r"axes is .*figure\.subplots\(\)"):
            draw(wrong)
