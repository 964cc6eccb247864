"""A night without what takes long, for tests of its files and of what is said of it."""

from __future__ import annotations

from functools import partial


def without_pictures_and_empty_apertures(patch):
    """No empty apertures, and pictures without anything on them, until the patch is undone."""
    from astro_calib.photometry import snr
    from astro_calib.report.canvas import Canvas

    patch.setattr(snr, "measure_searched", partial(snr.measure_searched, n_empty=0))
    patch.setattr(Canvas, "png", lambda _: b"a picture")
