"""Nights of cameras that write an image for each amplifier, with truth that plain NumPy has drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import CCDFrame
from astro_calib.cli import main
from astro_calib.errors import FrameError
from astro_calib.night import plan_night, reduce_night

#: Rows, columns and overscan columns of an amplifier.
ROWS, COLUMNS, OVERSCAN = 100, 120, 24
SKY = 600.0
#: Of the four amplifiers in the frame that is put together.
SECTIONS = {"[1:120,1:100]", "[121:240,1:100]", "[1:120,101:200]", "[121:240,101:200]"}
QUIET = {"progress": False, "pictures": False, "stars": False}


@dataclass
class Camera:
    """Chips of 2 x 2 amplifiers that are read towards their corners."""

    rng: np.random.Generator
    chips: int = 1
    gains: tuple[float, ...] = (1.0, 1.25, 1.6, 0.9)
    noises: tuple[float, ...] = (4.0, 6.0, 5.0, 8.0)
    levels: tuple[float, ...] = (1000.0, 1100.0, 950.0, 1200.0)
    header: dict[str, tuple[float, ...]] = field(default_factory=dict)
    told: bool = True
    #: So many rows, the first that are read, are in the file.
    window: int = ROWS

    def __post_init__(self):
        shape = (2 * ROWS, 2 * COLUMNS)
        y, x = np.mgrid[: shape[0], : shape[1]]
        vignetting = 1 - 0.2 * ((x - COLUMNS) ** 2 + (y - ROWS) ** 2) / (COLUMNS**2 + ROWS**2)
        self.flats = [vignetting * self.rng.normal(1, 0.01, shape) for _ in range(self.chips)]

    def hdus(self, kind, light):
        """The images of an exposure in which so many electrons came in where the sensitivity is 1."""
        primary = fits.Header([("IMAGETYP", kind), ("EXPTIME", 0.0 if kind == "BIAS" else 30.0), ("INSTRUME", "cam")])
        if kind in ("FLAT", "OBJECT"):
            primary["FILTER"] = "V"
        hdus = fits.HDUList([fits.PrimaryHDU(header=primary)])
        for chip, flat in enumerate(self.flats):
            for number in range(4):
                hdus.append(self._image(chip, number, light * flat))
        return hdus

    def _image(self, chip, number, electrons):
        right, top = number % 2, number // 2
        cell = electrons[top * ROWS :, right * COLUMNS :][:ROWS, :COLUMNS]
        cell = cell[:: -1 if top else 1, :: -1 if right else 1]
        values = np.zeros((ROWS, COLUMNS + OVERSCAN))
        values[:, :COLUMNS] = self.rng.poisson(cell)
        values = (values + self.rng.normal(0, self.noises[number], values.shape)) / self.gains[number]
        header = fits.Header()
        if self.told:
            across, up = [COLUMNS * right + 1, COLUMNS * (right + 1)], [ROWS * top + 1, ROWS * (top + 1)]
            across, up = across[:: -1 if right else 1], up[:: -1 if top else 1]
            first = 2 * COLUMNS * chip
            up[1] = up[0] + (self.window - 1) * (-1 if top else 1)
            header["DATASEC"] = f"[1:{COLUMNS},1:{self.window}]"
            header["BIASSEC"] = f"[{COLUMNS + 1}:{COLUMNS + OVERSCAN},1:{self.window}]"
            header["CCDSEC"] = f"[{across[0]}:{across[1]},{up[0]}:{up[1]}]"
            header["DETSEC"] = f"[{across[0] + first}:{across[1] + first},{up[0]}:{up[1]}]"
            header["CCDNAME"], header["AMPNAME"] = f"chip{chip + 1}", "ABCD"[number]
        header["GAIN"] = self.header.get("gain", self.gains)[number]
        if "saturation" in self.header:
            header["SATURATE"] = self.header["saturation"][number]
        header["RDNOISE"] = self.header.get("read_noise", self.noises)[number]
        data = np.rint(values + self.levels[number]).astype(np.uint16)[: self.window]
        return fits.ImageHDU(data, header, name=f"SCI{4 * chip + number + 1}")

    def night(self, directory, ending=".fits", science=2):
        directory.mkdir()
        for kind, light, count in (("BIAS", 0.0, 5), ("FLAT", 20000.0, 4), ("OBJECT", SKY, science)):
            for number in range(count):
                self.hdus(kind, light).writeto(directory / f"{kind.lower()}{number}{ending}")


@pytest.fixture
def rng():
    return np.random.default_rng(20261129)


@pytest.fixture
def camera(rng):
    return Camera(rng)


def of_amplifiers(image):
    return [image[top : top + ROWS, right : right + COLUMNS] for top in (0, ROWS) for right in (0, COLUMNS)]


def test_noise_is_right_in_each_amplifier_and_their_borders_are_no_steps(camera, tmp_path):
    camera.night(tmp_path / "raw", science=4)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUIET)
    assert summary.outcome == "all"
    pulls, levels = [], []
    for one in summary.frames:
        frame = CCDFrame.read(one.path)
        assert frame.shape == (2 * ROWS, 2 * COLUMNS)
        levels.append([float(np.mean(cell)) for cell in of_amplifiers(frame.data)])
        pulls.append((frame.data - np.median(frame.data)) / np.sqrt(frame.variance))
    pulls = np.array(pulls)
    # Each amplifier has 48,000 pixels: a standard error of 0.3%.
    for number in range(4):
        widths = [np.std(of_amplifiers(pull)[number]) for pull in pulls]
        assert np.sqrt(np.mean(np.square(widths))) == pytest.approx(1, abs=0.015)
    # A cell's mean is known to 0.2 electron by its own noise, and to twice that by the masters'.
    assert np.ptp(np.mean(levels, axis=0)) < 3 * 0.45


def test_each_amplifier_is_measured_and_headers_that_are_wrong_are_named(rng, tmp_path):
    camera = Camera(rng, header={"read_noise": (4.0, 6.0, 5.0, 4.0)})
    camera.night(tmp_path / "raw", science=1)
    (plan,) = reduce_night(tmp_path / "raw", tmp_path / "out", **QUIET).plan.setups
    for amplifier, gain, noise in zip(plan.camera.amplifiers, camera.gains, camera.noises, strict=True):
        assert amplifier.gain.value == pytest.approx(gain, rel=0.05)
        assert amplifier.read_noise.value == pytest.approx(noise, rel=0.02)
    alarms = [number.alarm for number in plan.numbers if number.alarm]
    assert len(alarms) == 1
    assert alarms[0].startswith("amplifier D: the read noise in the headers, 4 electron, is wrong")


@pytest.mark.parametrize("ending", [".fits", pytest.param(".fits.gz", marks=pytest.mark.long)])
def test_chips_of_one_file_are_reduced_one_by_one(rng, tmp_path, ending):
    camera = Camera(rng, chips=2)
    camera.night(tmp_path / "raw", ending, science=1)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUIET)
    assert sorted(one.path.name for one in summary.frames) == ["object0-chip1.fits", "object0-chip2.fits"]
    assert sorted(one.raw_name for one in summary.frames) == [f"object0{ending}[chip1]", f"object0{ending}[chip2]"]
    for one in summary.frames:
        flat = camera.flats[one.setup == "chip2"]
        assert np.median(CCDFrame.read(one.path).data) == pytest.approx(SKY * np.median(flat), rel=0.01)


def test_a_profile_tells_the_layout_where_headers_do_not(rng, tmp_path):
    camera = Camera(rng, told=False)
    camera.night(tmp_path / "raw", science=1)
    with pytest.raises(Exception, match="one for each amplifier"):
        plan_night(tmp_path / "raw")
    tables = []
    for number in range(4):
        right, top = number % 2, number // 2
        across = [COLUMNS * right + 1, COLUMNS * (right + 1)][:: -1 if right else 1]
        up = [ROWS * top + 1, ROWS * (top + 1)][:: -1 if top else 1]
        tables.append(
            f'[[amplifiers]]\nname = "{"ABCD"[number]}"\nextension = {number + 1}\ndata = "[1:{COLUMNS},1:{ROWS}]"\n'
            f'overscan = "[{COLUMNS + 1}:{COLUMNS + OVERSCAN},1:{ROWS}]"\n'
            f'placed = "[{across[0]}:{across[1]},{up[0]}:{up[1]}]"\ngain = {camera.gains[number]}\n'
        )
    profile = tmp_path / "mine.toml"
    profile.write_text("\n".join(tables), encoding="utf-8")
    (plan,) = reduce_night(tmp_path / "raw", tmp_path / "out", profile=profile, **QUIET).plan.setups
    assert [amplifier.gain.value for amplifier in plan.camera.amplifiers] == list(camera.gains)
    assert [amplifier.corner for amplifier in plan.camera.amplifiers] == [
        "lower left",
        "lower right",
        "upper left",
        "upper right",
    ]


def test_a_profile_tells_the_amplifiers_of_one_image(rng, tmp_path):
    """Two amplifiers side by side whose overscans lie between their data."""
    raw = tmp_path / "raw"
    raw.mkdir()
    gains, levels = (1.0, 2.0), (1000.0, 700.0)

    def write(name, kind, light):
        halves = []
        for gain, level in zip(gains, levels, strict=True):
            half = np.zeros((ROWS, COLUMNS + OVERSCAN))
            half[:, :COLUMNS] = rng.poisson(light, (ROWS, COLUMNS))
            halves.append((half + rng.normal(0, 5, half.shape)) / gain + level)
        data = np.rint(np.hstack([halves[0], halves[1][:, ::-1]])).astype(np.uint16)
        header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 0.0 if kind == "BIAS" else 30.0), ("FILTER", "V")])
        fits.writeto(raw / name, data, header)

    for number in range(5):
        write(f"b{number}.fits", "BIAS", 0.0)
        write(f"f{number}.fits", "FLAT", 20000.0)
    write("m13.fits", "OBJECT", SKY)
    width = COLUMNS + OVERSCAN
    profile = tmp_path / "mine.toml"
    profile.write_text(
        f"""
[[amplifiers]]
name = "left"
data = "[1:{COLUMNS},1:{ROWS}]"
overscan = "[{COLUMNS + 1}:{width},1:{ROWS}]"
placed = "[1:{COLUMNS},1:{ROWS}]"
[[amplifiers]]
name = "right"
data = "[{width + OVERSCAN + 1}:{2 * width},1:{ROWS}]"
overscan = "[{width + 1}:{width + OVERSCAN},1:{ROWS}]"
placed = "[{COLUMNS + 1}:{2 * COLUMNS},1:{ROWS}]"
corner = "lower right"
""",
        encoding="utf-8",
    )
    summary = reduce_night(raw, tmp_path / "out", profile=profile, **QUIET)
    image = CCDFrame.read(summary.frames[0].path)
    left, right = image.data[:, :COLUMNS], image.data[:, COLUMNS:]
    # Both gains are measured to 2%.
    assert np.mean(left) == pytest.approx(np.mean(right), rel=0.001)
    assert np.mean(image.data) == pytest.approx(SKY, rel=0.03)


def test_a_window_leaves_a_gap_that_spoils_neither_flats_nor_numbers(rng, tmp_path):
    camera = Camera(rng, window=40)
    camera.night(tmp_path / "raw", science=1)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUIET)
    assert [master.number for master in summary.masters] == [5, 4]
    measured = [one.measured.value for one in summary.plan.setups[0].numbers if one.role == "gain"]
    # Each to 2% of its own.
    assert measured == pytest.approx(camera.gains, rel=0.06)
    image = CCDFrame.read(summary.frames[0].path)
    assert image.mask[40:-40].all()
    assert not image.mask[:40].any()
    read = np.r_[0:40, 160:200]
    assert np.mean(image.data[read]) == pytest.approx(SKY * np.median(camera.flats[0][read]), rel=0.01)


def test_a_saturation_that_is_given_holds_for_all_amplifiers(camera, tmp_path):
    camera.header["saturation"] = (60000.0, 61000.0, 62000.0, 63000.0)
    camera.night(tmp_path / "raw", science=1)
    (plan,) = plan_night(tmp_path / "raw").setups
    assert [one.saturation.value for one in plan.detector.amplifiers] == [60000, 61000, 62000, 63000]
    (plan,) = plan_night(tmp_path / "raw", saturation=30000).setups
    assert [one.saturation.value for one in plan.detector.amplifiers] == [30000] * 4


def test_images_that_are_left_out_are_named_once(rng, tmp_path):
    Camera(rng, chips=2).night(tmp_path / "raw", science=1)
    for path in (tmp_path / "raw").iterdir():
        fits.append(path, np.full((8, 9), 900, np.uint16), fits.Header([("EXTNAME", "FN1")]))
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUIET)
    about = [remark for remark in summary.remarks if "FN1" in remark]
    assert len(about) == 1
    assert about[0].endswith("extension 9 FN1 have neither DETSEC nor CCDSEC, and are left out.")


def test_tables_of_a_profile_belong_to_their_chips(rng, tmp_path):
    """Of two chips in one file, whose headers say nothing."""
    camera = Camera(rng, chips=2, told=False)
    camera.night(tmp_path / "raw", science=1)
    profile = tmp_path / "mine.toml"
    lines = []
    for chip in (1, 2):
        for number in range(4):
            x0, y0 = COLUMNS * (number % 2), ROWS * (number // 2)
            across = f"{x0 + COLUMNS}:{x0 + 1}" if number % 2 else f"{x0 + 1}:{x0 + COLUMNS}"
            up = f"{y0 + ROWS}:{y0 + 1}" if number // 2 else f"{y0 + 1}:{y0 + ROWS}"
            lines.append(
                f'[[amplifiers]]\nextension = {4 * (chip - 1) + number + 1}\nchip = "c{chip}"\n'
                f'data = "[1:{COLUMNS},1:{ROWS}]"\noverscan = "[{COLUMNS + 1}:{COLUMNS + OVERSCAN},1:{ROWS}]"\n'
                f'placed = "[{across},{up}]"\ngain = {camera.gains[number] + chip / 100}\n'
            )
    profile.write_text("\n".join(lines), encoding="utf-8")
    night = plan_night(tmp_path / "raw", profile)
    for plan in night.setups:
        stated = [gain + int(plan.frames[0].chip[1:]) / 100 for gain in camera.gains]
        assert [one.gain.value for one in plan.detector.amplifiers] == pytest.approx(stated)


@pytest.mark.parametrize("command", ["ptc", pytest.param("audit", marks=pytest.mark.long)])
def test_each_amplifier_is_measured_by_the_commands(camera, tmp_path, command):
    camera.night(tmp_path / "raw", science=0)
    result = CliRunner().invoke(main, [command, str(tmp_path / "raw"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    if command == "audit":
        assert {row["amplifier"] for row in told["noise"]} == SECTIONS
        return
    for one, gain in zip(told["V"]["amplifiers"], camera.gains, strict=True):
        assert one["gain"]["value"] == pytest.approx(gain, rel=0.05)


def test_info_and_profile_tell_of_all_amplifiers(rng, tmp_path):
    Camera(rng, chips=2).night(tmp_path / "raw", science=1)
    about = CliRunner().invoke(main, ["info", str(tmp_path / "raw" / "object0.fits")]).output
    for said in ("of 4 amplifiers", "chip1; in the same file: chip2", "0.9 to 1.6 electron/adu", "4 to 8 electron"):
        assert said in " ".join(about.split())
    drafted = CliRunner().invoke(main, ["profile", str(tmp_path / "raw")]).output
    assert "# 4 amplifiers: the headers tell sections, gain, read noise and saturation of each" in drafted
    (tmp_path / "mine.toml").write_text(drafted, encoding="utf-8")
    assert len(plan_night(tmp_path / "raw", tmp_path / "mine.toml").setups) == 2


def test_own_masters_of_another_gain_are_named(rng, tmp_path):
    camera = Camera(rng)
    camera.night(tmp_path / "first", science=1)
    reduce_night(tmp_path / "first", tmp_path / "masters", **QUIET)
    camera.night(tmp_path / "second", science=1)
    for path in (tmp_path / "second").iterdir():
        if path.name.startswith("object"):
            with fits.open(path, mode="update") as hdus:
                hdus[2].header["GAIN"] = 1.5
        else:
            path.unlink()
    summary = reduce_night(tmp_path / "second", tmp_path / "out", masters=tmp_path / "masters", **QUIET)
    assert any("made with gains of 1, 1.25, 1.6, 0.9" in remark for remark in summary.remarks)


def test_sections_of_a_profile_that_are_for_one_amplifier_are_named(camera, tmp_path):
    camera.night(tmp_path / "raw", science=1)
    (tmp_path / "mine.toml").write_text('[detector]\ntrim = "[1:100,1:100]"\n', encoding="utf-8")
    frames = plan_night(tmp_path / "raw", tmp_path / "mine.toml").frames
    assert all(any("detector.trim of profile" in remark for remark in frame.remarks) for frame in frames)
    assert frames[0].trim == "[1:240,1:200]"


def test_the_plan_says_that_an_amplifier_lacks_its_gain(camera, tmp_path):
    camera.night(tmp_path / "raw", science=1)
    for path in (tmp_path / "raw").iterdir():
        with fits.open(path, mode="update") as hdus:
            del hdus[2].header["GAIN"]
    raw = str(tmp_path / "raw")
    planned = CliRunner().invoke(main, ["reduce", raw, "--dry-run"])
    assert planned.exit_code == 0
    assert "measured of the amplifiers of which they tell none" in " ".join(planned.output.split())
    planned = CliRunner().invoke(main, ["reduce", raw, "--dry-run", "--detector", "header"])
    assert planned.exit_code == 1
    assert "unknown of some amplifiers: no header tells it; give --gain" in " ".join(planned.output.split())


def test_darks_of_several_amplifiers_tell_no_level_of_zero_light(rng, tmp_path):
    """Neither biases nor overscans: the level is asked for, and what is given is not taken for light."""
    raw = tmp_path / "raw"
    Camera(rng, levels=(1000.0,) * 4).night(raw, science=1)
    for path in raw.iterdir():
        with fits.open(path, mode="update") as hdus:
            for hdu in hdus[1:]:
                del hdu.header["BIASSEC"]
            if hdus[0].header["IMAGETYP"] == "BIAS":
                hdus[0].header.update(IMAGETYP="DARK", EXPTIME=30.0)
    with pytest.raises(FrameError, match=r"no single level of zero light; give biases, .*--pedestal"):
        reduce_night(raw, tmp_path / "out", **QUIET)
    summary = reduce_night(raw, tmp_path / "out", **QUIET, pedestal=1000.0)
    image = CCDFrame.read(summary.frames[0].path)
    for values, sigma in zip(of_amplifiers(image.data), of_amplifiers(np.sqrt(image.variance)), strict=True):
        assert np.std((values - np.median(values)) / sigma) == pytest.approx(1, abs=0.05)
