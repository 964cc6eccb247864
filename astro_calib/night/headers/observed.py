"""When a frame was observed, by its header."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.values import header_value, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.io.fits import Header

__all__ = ["ZERO", "time_of"]

#: Cards that hold a time, or a date that a time of the day stands beside; in UT, the start before the end.
MOMENTS = (
    *("DATE-OBS", "DATE-BEG", "DATE_OBS", "DATEOBS", "UTC-OBS"),
    *("MJD-OBS", "MJD-BEG", "MJD_OBS", "MJD", "JD", "JD-OBS", "JD_OBS", "JD_UTC", "JULDATE", "DATE-END"),
)
#: Cards that hold a time of the day.
HOURS = ("TIME-OBS", "UT", "UTC", "UTSTART", "UT-START", "UTC-OBS", "UTOPEN", "TIME_OBS", "UTSHUT", "TM-START")
#: A modified Julian date is zero here.
ZERO = datetime(1858, 11, 17, tzinfo=UTC)
#: Where Julian and modified Julian dates begin that are dates of observations with electronic cameras.
JULIAN, MODIFIED = 2_436_934.5, 36_934.0
#: Years of two digits up to this one are of this century.
THIS_CENTURY = 69
CLOCK = re.compile(r"(\d{1,2})[:hH ](\d{1,2})[:mM ](\d{1,2}(?:\.\d*)?)s?")
#: Dates as they were written before 2000: day, month and year.
OLD = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")


def time_of(header: Header, keywords: Iterable[str] = MOMENTS) -> float | None:
    """
    Return when an exposure began, as a modified Julian date in days (UT); None if its header does not tell.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.observed import time_of
    >>> round(
    ...     time_of(
    ...         fits.Header([("DATE-OBS", "2024-05-13"), ("UT", "12:00:00")])
    ...     ),
    ...     6,
    ... )
    60443.5
    """
    for _, value in values_of(header, keywords):
        number = as_number(value)
        if number is not None:
            days = number - 2_400_000.5 if number > JULIAN else number
            if days > MODIFIED and number < 2 * JULIAN:
                return days
            continue
        moment = _moment(header, str(value))
        if moment is not None:
            return (moment - ZERO) / timedelta(days=1)
    return None


def _moment(header: Header, text: str) -> datetime | None:
    """The time of a date with a time of the day, or with one in another card."""
    date, _, hours = text.replace("T", " ", 1).strip().rstrip("Z").partition(" ")
    day = _day(date)
    if day is None:
        return None
    times = [hours.strip()] if hours.strip() else [_text(header_value(header, keyword)) for keyword in HOURS]
    return next((day + time for time in map(_time_of_day, times) if time is not None), None)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _day(text: str) -> datetime | None:
    try:
        if old := OLD.fullmatch(text):
            day, month, year = map(int, old.groups())
            century = 0 if year >= 100 else 2000 if year <= THIS_CENTURY else 1900
            return datetime(year + century, month, day, tzinfo=UTC)
        return datetime.strptime(text.replace("/", "-"), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _time_of_day(text: str) -> timedelta | None:
    """The time since midnight; None if the text is none, or holds a date of its own."""
    parts = CLOCK.fullmatch(text.strip().rpartition("T")[2])
    return None if parts is None else timedelta(hours=int(parts[1]), minutes=int(parts[2]), seconds=float(parts[3]))
