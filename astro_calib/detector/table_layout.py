"""
The layout of a raw file from tables that somebody wrote, one an amplifier, for headers that do not tell it.

In a profile::

    [[amplifiers]]
    extension = 1
    data = "[1:2048, 1:2048]"
    overscan = "[2055:2080, 1:2048]"
    placed = "[4096:2049, 1:2048]"
    gain = 1.0
    read_noise = 8.0

``placed`` is the section of the assembled frame, written backwards where the amplifier's image is mirrored.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import described
from astro_calib.detector.amplifier import CORNERS
from astro_calib.detector.header_layout import MOST_AMPLIFIERS, RawImage, box_inside, numbers_of_header
from astro_calib.detector.header_values import as_number
from astro_calib.detector.layout import AmplifierLayout, corner_of, share
from astro_calib.detector.sections import spans_of_section
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.detector.sections import Span

__all__ = ["amplifiers_of_tables", "checked_tables"]

SECTIONS = ("data", "overscan", "placed")
NUMBERS = ("gain", "gain_uncertainty", "read_noise", "saturation")
ZERO_ALLOWED = ("gain_uncertainty", "read_noise")
KEYS = ("name", "extension", "plane", "chip", *SECTIONS, "corner", *NUMBERS)


def checked_tables(tables: Any) -> list[Mapping[str, Any]]:
    """
    Check tables of amplifiers as far as that can be done without a file.

    Parameters
    ----------
    tables : sequence of mapping
        For each amplifier ``extension`` (number or name of the HDU, 0 if it is left out), ``plane`` (of a cube, from
        1), ``data``, ``overscan``, ``placed`` (sections), ``corner``, ``gain``, ``gain_uncertainty``, ``read_noise``,
        ``saturation`` (numbers in electron and adu), ``chip`` and ``name``. ``data`` is all of the image if it is left
        out, ``placed`` is the same as ``data``.

    Returns
    -------
    list of mapping
        The same.

    Raises
    ------
    ValueError
        If a key or a value means nothing; the message names it.

    Examples
    --------
    >>> from astro_calib.detector.table_layout import checked_tables
    >>> checked_tables([{"data": "[1:512, 1:1024]", "gian": 1.5}])
    Traceback (most recent call last):
        ...
    ValueError: amplifiers[1] has an unknown key 'gian'; did you mean 'gain'? Allowed are name, extension, plane,
    chip, data, overscan, placed, corner, gain, gain_uncertainty, read_noise, saturation.
    """
    if isinstance(tables, (str, Mapping)) or not hasattr(tables, "__len__") or not len(tables):
        msg = f"amplifiers is {described(tables)}; it must be a list of tables, one for each amplifier."
        raise ValueError(msg)
    if len(tables) > MOST_AMPLIFIERS:
        msg = f"amplifiers has {len(tables)} tables; expected {MOST_AMPLIFIERS} at most."
        raise ValueError(msg)
    for number, table in enumerate(tables, start=1):
        _check(f"amplifiers[{number}]", table)
    return list(tables)


def amplifiers_of_tables(tables: Sequence[Mapping[str, Any]], images: Sequence[RawImage]) -> list[AmplifierLayout]:
    """
    Return the amplifiers that tables tell of, in a file with these images.

    Raises
    ------
    ValueError
        As for `checked_tables`.
    FrameError
        If the file does not have such an image, or a section lies outside of it.
    """
    return [
        _amplifier(f"amplifiers[{number}]", table, images)
        for number, table in enumerate(checked_tables(tables), start=1)
    ]


def _fail(what: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f"{what} is {value!r}; {allowed}.")


def _check(what: str, table: Any) -> None:
    if not isinstance(table, Mapping):
        raise _fail(what, table, 'it must be a table, such as { data = "[1:512, 1:1024]" }')
    for key, value in table.items():
        name = f"{what}.{key}"
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            msg = f"{what} has an unknown key {key!r}; {hint}Allowed are {', '.join(KEYS)}."
            raise ValueError(msg)
        if key in SECTIONS:
            _spans(name, value)
        elif key in NUMBERS:
            _check_number(name, key, value)
        elif key == "corner" and not (isinstance(value, str) and value in CORNERS):
            raise _fail(name, value, f"it must be one of {', '.join(CORNERS)}: the corner that is read first")
        elif key == "plane" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise _fail(name, value, "it must be the number of a plane of a cube, 1 for the first")
        elif key == "extension" and (isinstance(value, bool) or not isinstance(value, (int, str))):
            raise _fail(name, value, "it must be the number or the name of an extension")
        elif key in ("name", "chip") and not isinstance(value, str):
            raise _fail(name, value, "it must be text in quotes")
    if "gain_uncertainty" in table and "gain" not in table:
        name = f"{what}.gain_uncertainty"
        raise _fail(name, table["gain_uncertainty"], "it needs a gain beside it")


def _check_number(name: str, key: str, value: Any) -> None:
    number = None if isinstance(value, str) else as_number(value)
    zero_allowed = key in ZERO_ALLOWED
    if number is None or number < 0 or (number == 0 and not zero_allowed):
        raise _fail(name, value, f"it must be a number{', 0 or' if zero_allowed else ''} above 0")


def _spans(name: str, value: Any) -> tuple[Span, Span]:
    try:
        return spans_of_section(value)
    except ValueError as error:
        raise _fail(name, value, str(error)) from error


def _amplifier(what: str, table: Mapping[str, Any], images: Sequence[RawImage]) -> AmplifierLayout:
    image = _image(what, table.get("extension", 0), images)
    planes = image.shape[0] if len(image.shape) == 3 else 1
    plane = table.get("plane", 1)
    if len(image.shape) not in (2, 3) or plane > planes or (planes > 1 and "plane" not in table):
        msg = (
            f"{what}.plane is {table.get('plane', 'not given')}; {image.name} has the shape {image.shape[::-1]}, so "
            f"that it must be a number from 1 to {planes}."
        )
        raise FrameError(msg)
    ny, nx = image.shape[-2:]
    whole = f"[1:{nx},1:{ny}]"
    data_spans = _spans(f"{what}.data", table.get("data", whole))
    data = box_inside(image, f"{what}.data", data_spans)
    placed_spans = _spans(f"{what}.placed", table["placed"]) if "placed" in table else data_spans
    placed = placed_spans[0].pixels, placed_spans[1].pixels
    if [len(one) for one in placed] != [len(one) for one in data]:
        msg = (
            f"{what}: placed={table['placed']!r} has not as many rows and columns as data={table.get('data', whole)!r}."
        )
        raise FrameError(msg)
    overscan = None
    if "overscan" in table:
        overscan = box_inside(image, f"{what}.overscan", _spans(f"{what}.overscan", table["overscan"]))
        if all(map(share, data, overscan)):
            msg = f"{what}: overscan={table['overscan']!r} overlaps data={table.get('data', whole)!r}."
            raise FrameError(msg)
    flipped = [
        one.direction * (data_one.direction if "placed" in table else 1) < 0
        for one, data_one in zip(placed_spans, data_spans, strict=True)
    ]
    # The overscan is read after the data.
    before = overscan is not None and overscan[1].stop <= data[1].start
    corner = table.get("corner", corner_of(upper=flipped[0], right=flipped[1] != before))
    # What the table does not say, the header may.
    found = numbers_of_header(image)
    told = {key: value for key, (_, value) in found.items() if key not in table and value is not None}
    return AmplifierLayout(
        name=table.get("name", what),
        image=image.number,
        plane=plane - 1,
        data=data,
        overscan=overscan,
        on_detector=placed,
        flipped=(flipped[0], flipped[1]),
        corner=corner,
        chip=table.get("chip", ""),
        gain=_number(table, "gain") or told.get("gain"),
        gain_uncertainty=_number(table, "gain_uncertainty"),
        read_noise=told.get("read_noise", _number(table, "read_noise")),
        saturation=_number(table, "saturation") or told.get("saturation"),
        keywords={key: found[key][0] for key in told},
    )


def _number(table: Mapping[str, Any], key: str) -> float | None:
    return float(table[key]) if key in table else None


def _image(what: str, wanted: int | str, images: Sequence[RawImage]) -> RawImage:
    for image in images:
        name = str(image.header.get("EXTNAME", "")).strip().upper()
        if wanted == image.number or (isinstance(wanted, str) and name == wanted.strip().upper()):
            return image
    found = ", ".join(image.name for image in images)
    msg = f"{what}.extension is {wanted!r}; the file has no such image, but {found}."
    raise FrameError(msg)
