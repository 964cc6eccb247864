"""The summary of a night as JSON, read back without trust in who wrote it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from astro_calib.report.shapes import count, each, maybe, number, record, several, text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SUMMARY_JSON", "read_summary"]

SUMMARY_JSON = "summary.json"
#: A summary of many thousand frames has less bytes than this.
LARGEST = 128 * 2**20
UNUSED = record(path=text, kind=text, reason=text)
ESTIMATE = maybe(record(value=number, error=number))
NUMBER = record(
    role=text,
    amplifier=text,
    value=number,
    uncertainty=number,
    source=text,
    why=text,
    measured=ESTIMATE,
    header=number,
    stated=number,
)
SETUP = record(
    title=text,
    profile=text,
    numbers=several(NUMBER),
    overscan=maybe(text),
    trim=maybe(text),
    steps=several(text),
    frames=several(record(kind=text)),
)
MASTER = record(
    path=text,
    title=text,
    number=count,
    level=number,
    sigma=number,
    noise_ratio=number,
    rejected=number,
)
HISTOGRAM = record(
    start=number,
    width=number,
    before=several(count, 2000),
    after=several(count, 2000),
    pixels=count,
    spreads=several(number, 2),
    predicted=number,
)
SKY = record(level=number, observed=number, predicted=number, ratio=number, why=text)
FRAME = record(
    path=text,
    raw_name=text,
    object=text,
    filter=text,
    exposure_time=number,
    saturated=count,
    bad=count,
    table=maybe(text),
    sky=SKY,
    stars=count,
    snr_empirical_before=number,
    snr_empirical_after=number,
    fwhm=number,
    left_out=each(count),
    shares=each(number),
    histogram=maybe(HISTOGRAM),
)
SUMMARY = record(
    outcome=text,
    seconds=number,
    attention=several(text),
    remarks=several(record(text=text, files=several(text))),
    setups=several(SETUP),
    masters=several(MASTER),
    science=several(FRAME),
    lost=several(UNUSED),
    not_used=several(UNUSED),
    made=record(finished=text, command=text, versions=each(text), parameters=each(text)),
)


def read_summary(out: Path) -> dict[str, Any]:
    """
    Return what the summary of a directory of results says; numbers that are not known are NaN.

    A ValueError says what is wrong with the file, an OSError that it cannot be read.
    """
    path = out / SUMMARY_JSON
    if not path.is_file():
        msg = f"{path} is not there; give a directory with results of astro-calib reduce."
        raise FileNotFoundError(msg)
    size = path.stat().st_size
    if size > LARGEST:
        msg = f"{path} has {size} bytes; a summary has at most {LARGEST}. Reduce the night again."
        raise ValueError(msg)
    try:
        found: dict[str, Any] = SUMMARY(json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number), "")
    except (ValueError, RecursionError) as error:
        # An error of JSON or of letters is a ValueError, too.
        reason = str(error) or type(error).__name__
        msg = f"{path} is not a summary that astro-calib reduce has written: {reason}. Reduce the night again."
        raise ValueError(msg) from error
    return found


def _no_number(name: str) -> float:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)
