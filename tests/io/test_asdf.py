"""Frames and their parts in ASDF files, through the tags of this package."""

from __future__ import annotations

import mmap
import subprocess
import sys
from importlib import metadata, resources

import asdf
import astropy.units as u
import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    FlagCollection,
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import DistortionLookupTable, Sip

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    LinearityPolynomial,
    LinearityTable,
    NoiseSource,
    UncertaintyBudget,
    combine,
)
from astro_calib.errors import FrameError
from astro_calib.io.asdf.extension import get_extensions, get_resource_mappings
from tests.io.frames import Night, assert_same, assert_same_budget, tangent_plane

SHAPE = (6, 8)
GAIN = u.electron / u.adu


@pytest.fixture(scope="module")
def night():
    return Night()


def through_a_file(value, tmp_path, **options):
    asdf.AsdfFile({"value": value}).write_to(tmp_path / "file.asdf")
    with asdf.open(tmp_path / "file.asdf", **options) as file:
        return file["value"]


# -- registration ----------------------------------------------------------------------------------------------------


def resource_files():
    root = resources.files("astro_calib") / "resources" / "asdf"
    return [path for part in ("schemas", "manifests") for path in (root / part).iterdir()]


def test_every_resource_is_registered_under_its_own_address():
    registered = asdf.get_config().resource_manager
    assert len(resource_files()) == 8
    for path in resource_files():
        address = yaml.safe_load(path.read_bytes())["id"]
        assert address.startswith("asdf://astro-calib.org/")
        assert registered[address] == path.read_bytes()
    assert sum(len(mapping) for mapping in get_resource_mappings()) == 8


def test_every_tag_of_the_manifest_resolves_to_a_schema_and_a_converter():
    (path,) = (path for path in resource_files() if path.parent.name == "manifests")
    tags = [entry["tag_uri"] for entry in yaml.safe_load(path.read_bytes())["tags"]]
    assert len(tags) == 6
    manager = asdf.AsdfFile().extension_manager
    for entry in yaml.safe_load(path.read_bytes())["tags"]:
        assert manager.handles_tag(entry["tag_uri"])
        schema = asdf.schema.load_schema(entry["schema_uri"], resolve_references=True)
        asdf.schema.check_schema(schema)
    (extension,) = get_extensions()
    assert {tag.tag_uri if hasattr(tag, "tag_uri") else tag for tag in extension.tags} == set(tags)


@pytest.mark.parametrize("group", ["asdf.extensions", "asdf.resource_mappings"])
def test_entry_points_are_installed(group):
    (point,) = metadata.entry_points(group=group, name="astro_calib")
    assert point.load()()


def test_registration_loads_nothing_heavy():
    # As without ndcube, which loads matplotlib when asdf asks specutils what it registers.
    code = (
        "import sys; sys.modules['ndcube'] = None; import asdf; "
        "asdf.AsdfFile().extension_manager; asdf.get_config().resource_manager; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "astro_calib.io.asdf.converters" in loaded
    # Not photutils, whose newer versions asdf loads for their own sake.
    assert not loaded & {"numba", "matplotlib", "ccdproc"}


# -- frames ----------------------------------------------------------------------------------------------------------


def test_frame_is_known_to_asdf_itself(night, tmp_path):
    frame = night.science()
    assert_same(through_a_file(frame, tmp_path), frame)


def test_file_of_several_frames_holds_all_that_belongs_to_them(night, tmp_path):
    frames = [night.science(), night.science()]
    asdf.AsdfFile({"frames": frames, "flat": night.flat}).write_to(tmp_path / "several.asdf")
    with asdf.open(tmp_path / "several.asdf") as file:
        for again, frame in zip([*file["frames"], file["flat"]], [*frames, night.flat], strict=True):
            assert_same(again, frame)


def test_format_is_found_out_and_old_files_are_kept(night, tmp_path):
    path = tmp_path / "frame.asdf"
    night.bias.write(path)
    with pytest.raises(FileExistsError, match=r"frame\.asdf.*overwrite=True"):
        night.flat.write(path)
    assert_same(CCDFrame.read(path), night.bias)
    path.rename(tmp_path / "frame")
    assert_same(CCDFrame.read(tmp_path / "frame"), night.bias)
    assert CCDFrame.read(str(tmp_path / "frame")).name == "frame"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_the_old_file(night, tmp_path, monkeypatch, error):
    path = tmp_path / "frame.asdf"
    night.bias.write(path)
    before = path.read_bytes()

    def fail(_self, name, **_options):
        name.write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(asdf.AsdfFile, "write_to", fail)
    with pytest.raises(type(error)):
        night.flat.write(path, overwrite=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["frame.asdf"]


def test_files_are_combined_by_their_names_and_say_their_unit(night, tmp_path):
    paths = [tmp_path / f"frame{number}.asdf" for number in range(3)]
    frames = [night.science() for _ in paths]
    for frame, path in zip(frames, paths, strict=True):
        frame.write(path)
    np.testing.assert_allclose(combine(paths).variance, combine(frames).variance, rtol=1e-6)
    assert CCDFrame.read(paths[0], unit="electron").unit == u.electron
    with pytest.raises(FrameError, match=r"frame0\.asdf.*electron.*adu"):
        CCDFrame.read(paths[0], unit="adu")


def test_mapped_arrays_stay_on_disk_and_outlive_the_file(night, tmp_path):
    frame, path = night.science(), tmp_path / "frame.asdf"
    frame.write(path)
    mapped = CCDFrame.read(path, memmap=True)
    base = mapped.pixels
    while not isinstance(base, (mmap.mmap, type(None))):
        base = base.base
    assert isinstance(base, mmap.mmap)
    path.unlink()
    assert_same(mapped, frame)
    with pytest.raises(ValueError, match="read-only"):
        mapped.data[0, 0] = 0


def test_arrays_that_were_read_outlive_the_file_and_can_be_written_into(night, tmp_path):
    frame, path = night.science(), tmp_path / "frame.asdf"
    frame.write(path)
    again = CCDFrame.read(path)
    path.unlink()
    assert_same(again, frame)
    again.data[0, 0] = 5
    assert again.budget.names == ("uncertainty",)


def test_compression_makes_files_smaller(tmp_path):
    frame = CCDFrame(np.zeros((300, 300)), unit="adu")
    frame.write(tmp_path / "plain.asdf")
    frame.write(tmp_path / "zlib.asdf", compression="zlib")
    assert (tmp_path / "zlib.asdf").stat().st_size < 0.05 * (tmp_path / "plain.asdf").stat().st_size


def test_header_may_hold_what_fits_cannot(tmp_path):
    meta = {"OBSERVER": {"name": "Hubble", "nights": [1, 2]}, "SEEING": float("inf"), "remarks": "two\nlines"}
    frame = CCDFrame(np.ones(SHAPE), unit="adu", meta=meta)
    frame.write(tmp_path / "frame.asdf")
    assert dict(CCDFrame.read(tmp_path / "frame.asdf").meta) == meta


def test_header_that_asdf_cannot_hold_leaves_the_directory_as_it_was(tmp_path):
    frame = CCDFrame(np.ones(SHAPE), unit="adu", meta={"WHAT": object()})
    with pytest.raises(FrameError, match=r"frame\.asdf"):
        frame.write(tmp_path / "frame.asdf")
    assert list(tmp_path.iterdir()) == []


def test_fits_header_comes_back_with_comments_and_history(tmp_path):
    meta = fits.Header([("OBJECT", "M13", "a cluster"), ("HISTORY", "one"), ("HISTORY", "two"), ("UNKNOWN", None)])
    CCDFrame(np.ones(SHAPE), unit="adu", meta=meta).write(tmp_path / "frame.asdf")
    again = CCDFrame.read(tmp_path / "frame.asdf").meta
    assert isinstance(again, fits.Header)
    assert again.tostring() == meta.tostring()


def with_tables():
    wcs = tangent_plane()
    rng = np.random.default_rng(4)
    for axis in ("cpdis1", "cpdis2"):
        setattr(wcs, axis, DistortionLookupTable(rng.random((4, 5), np.float32), (1, 1), (1, 1), (10, 10)))
    wcs.pixel_shape = SHAPE[::-1]
    return wcs


def with_polynomial():
    wcs = tangent_plane()
    wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    a, b = np.zeros((2, 3, 3))
    a[2, 0], b[1, 1] = 1.234567890123e-5, 2e-5
    wcs.sip = Sip(a, b, None, None, (20, 15))
    return wcs


@pytest.mark.parametrize("ending", ["asdf", "fits", "fits.fz"])
@pytest.mark.parametrize("make", [with_tables, with_polynomial])
def test_distorted_wcs_comes_back(make, ending, tmp_path):
    wcs, pixels = make(), np.random.default_rng(5).uniform(1, 6, (50, 2))
    CCDFrame(np.ones(SHAPE), unit="adu", wcs=wcs).write(tmp_path / f"frame.{ending}")
    again = CCDFrame.read(tmp_path / f"frame.{ending}").wcs
    np.testing.assert_array_equal(again.all_pix2world(pixels, 0), wcs.all_pix2world(pixels, 0))
    # From a FITS header it gets one if it has none.
    assert again.pixel_shape == wcs.pixel_shape or (wcs.pixel_shape is None and ending != "asdf")


def test_file_without_a_frame_says_what_is_in_it(tmp_path):
    path = tmp_path / "other.asdf"
    asdf.AsdfFile({"thing": 1}).write_to(path)
    with pytest.raises(FrameError, match=r"other\.asdf.*thing"):
        CCDFrame.read(path)
    with pytest.raises(FrameError, match=r"other\.asdf.*int"):
        CCDFrame.read(path, key="thing")


# -- parts -----------------------------------------------------------------------------------------------------------


def test_budget_by_itself(night, tmp_path):
    for frame in (night.science(), night.flat, night.science()[2:5, ::2]):
        assert_same_budget(through_a_file(frame.budget, tmp_path), frame.budget)


def test_budget_without_data(tmp_path):
    terms = [(NoiseSource("read noise", np.full(SHAPE, 25.0)), -2.0), (NoiseSource("gain", 0.1, axes=()), 3.0)]
    budget = UncertaintyBudget(SHAPE, terms)
    again = through_a_file(budget, tmp_path)
    assert_same_budget(again, budget)
    assert UncertaintyBudget.linear([(again, 1.0), (budget, -1.0)]).variance().max() == 0


def test_source_by_itself(night, tmp_path):
    for source, _ in [*night.dark.budget.terms, *night.flat.budget.terms]:
        again = through_a_file(source, tmp_path)
        assert (again.key, again.name, again.linear) == (source.key, source.name, source.linear)
        np.testing.assert_array_equal(again.variance.evaluate(), source.variance.evaluate())
        assert again.family == source.family


DETECTORS = {
    "one amplifier": Detector(gain=1.8 * GAIN, read_noise=9.4 * u.electron, saturation=65000 * u.adu, name="CCD2"),
    "known to a degree": Detector(gain=1.8 * GAIN, read_noise=9.4 * u.electron, gain_uncertainty=0.01 * GAIN),
    "polynomial": Detector(
        gain=1.8 * GAIN,
        read_noise=9.4 * u.electron,
        linearity=LinearityPolynomial([6e-7], limit=60000 * u.adu, covariance=[[3.6e-15]]),
    ),
    "table, two amplifiers": Detector(
        amplifiers=[
            Amplifier(gain=1.8 * GAIN, read_noise=9.4 * u.electron, data_section="[1:4, 1:6]"),
            Amplifier(
                gain=1.9 * GAIN,
                read_noise=9.0 * u.electron,
                data_section="[5:8, 1:6]",
                linearity=LinearityTable([1e4, 5e4] * u.adu, [1.1e4, 6e4] * u.adu, [10, 100] * u.adu),
            ),
        ]
    ),
}


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
def test_detector(detector, tmp_path):
    again = through_a_file(detector, tmp_path)
    assert again == detector
    assert again.gain_identity(0) == detector.gain_identity(0)


# -- plain CCDData ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance, UnknownUncertainty, None])
def test_plain_ccddata_with_each_kind_of_uncertainty(kind, tmp_path):
    rng = np.random.default_rng(8)
    plain = CCDData(
        rng.normal(0, 1, SHAPE),
        unit="adu",
        uncertainty=None if kind is None else kind(rng.uniform(1, 2, SHAPE)),
        mask=rng.random(SHAPE) > 0.5,
        meta=fits.Header([("OBJECT", "M13", "a cluster")]),
        wcs=tangent_plane(),
        psf=np.ones((3, 3)),
    )
    again = through_a_file(plain, tmp_path)
    assert type(again) is CCDData
    assert again.unit == plain.unit
    assert again.meta.tostring() == plain.meta.tostring()
    assert again.wcs.wcs.compare(plain.wcs.wcs)
    for attribute in ("data", "mask", "psf"):
        np.testing.assert_array_equal(getattr(again, attribute), getattr(plain, attribute))
    assert type(again.uncertainty) is (type(None) if kind is None else kind)
    if kind is not None:
        np.testing.assert_array_equal(again.uncertainty.array, plain.uncertainty.array)
        assert again.uncertainty.unit == plain.uncertainty.unit


@pytest.mark.parametrize("kind", ["array", "collection", "none"])
def test_plain_ccddata_with_flags(kind, tmp_path):
    flags = {"array": np.full(SHAPE, 3), "none": None}.get(kind)
    if kind == "collection":
        flags = FlagCollection(shape=SHAPE)
        flags["hot"] = np.ones(SHAPE, bool)
    plain = CCDData(np.ones(SHAPE), unit="", flags=flags, meta={"a": {"b": 1}})
    again = through_a_file(plain, tmp_path)
    assert (again.mask, dict(again.meta), type(again.flags)) == (None, plain.meta, type(flags))
    if kind == "collection":
        np.testing.assert_array_equal(again.flags["hot"], flags["hot"])


def test_inverse_variance_by_itself(tmp_path):
    again = through_a_file(InverseVariance(np.full(SHAPE, 0.25), unit="1/adu2"), tmp_path)
    assert type(again) is InverseVariance
    assert again.unit == u.Unit("1/adu2")
    assert again.array[0, 0] == 0.25
