"""A table that can be written as FITS and VOTable without a warning, whatever its units are and its meta holds."""

from __future__ import annotations

import re
import warnings
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import registry
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["StarTable"]

#: Keywords that need no HIERARCH card; astropy warns of those that mean something else in a table.
FITS_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
#: The longest keyword for which a HIERARCH card has room, beside a number.
LONGEST = 40


class StarTable(QTable):
    """
    A `~astropy.table.QTable` that other programs can read.

    ``write`` makes FITS of it that holds all columns and all meta: keywords keep their names, as HIERARCH cards, what a
    card cannot hold is written as text, such as NaN and None. A VOTable has no meta.
    Units that these formats do not know, such as electron, have the same name when astropy reads the table.

    Tables in files are read with ``StarTable.read``, if they are to be written in another format: a plain QTable writes
    the same, but astropy warns of each unit and of long keywords.

    Examples
    --------
    >>> import tempfile
    >>> import astropy.units as u
    >>> from astro_calib.photometry import StarTable
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     StarTable(
    ...         {"flux": [10.0, 20.0] * u.electron}, meta={"fwhm_across": 3.5}
    ...     ).write(f"{directory}/d1048.ecsv")
    ...     StarTable.read(f"{directory}/d1048.ecsv").write(
    ...         f"{directory}/d1048.fits"
    ...     )
    ...     StarTable.read(f"{directory}/d1048.fits")["flux"]
    <Quantity [10., 20.] electron>
    """


def _write_fits(table: StarTable, output: Any, **options: Any) -> None:
    plain = QTable(table, copy=False)
    plain.meta = {_keyword(key): _of_card(value) for key, value in table.meta.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The unit .* could not be saved in native FITS format", AstropyUserWarning)
        plain.write(output, format="fits", **options)


def _write_votable(table: StarTable, output: Any, **options: Any) -> None:
    plain = QTable(table, copy=False)
    for name, column in plain.columns.items():
        unit = column.info.unit
        if unit is not None and unit != u.dimensionless_unscaled:
            described = column.info.description
            plain[name] = u.Quantity(column, unit).value * _in_votable(unit)
            plain[name].info.description = described
    plain.write(output, format="votable", **options)


def _in_votable(unit: u.UnitBase) -> u.UnitBase:
    """The unit as the standard of VOTables writes it; units that it does not know go by their names in quotes."""
    try:
        unit.to_string("vounit")
    except ValueError:
        parts = zip(unit.decompose().bases, unit.decompose().powers, strict=True)
        product = u.dimensionless_unscaled * unit.decompose().scale
        for base, power in parts:
            product *= _base_in_votable(base) ** power
        return product
    return unit


def _base_in_votable(base: u.UnitBase) -> u.UnitBase:
    try:
        base.to_string("vounit")
    except ValueError:
        return u.Unit(f"'{base.name}'", format="vounit")
    return base


def _keyword(key: Any) -> str:
    text = _text(key)
    if text == "comments" or FITS_KEYWORD.fullmatch(text):
        return text
    return f"HIERARCH {text.replace('=', '_')[:LONGEST]}"


def _of_card(value: Any) -> Any:
    """A value as a card can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)) and value:
        return [_of_card(item) if np.isscalar(item) else _text(item) for item in value]
    number = isinstance(value, (bool, int)) or (isinstance(value, float) and np.isfinite(value))
    # An empty card is read as an object that no other format can hold.
    return value if number else _text(value)


def _text(value: Any) -> str:
    """Printable ASCII; what is neither is escaped."""
    text = str(value).encode("ascii", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


registry.register_writer("fits", StarTable, _write_fits)
registry.register_writer("votable", StarTable, _write_votable)
