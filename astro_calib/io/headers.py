"""FITS headers and WCS as plain lists and mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

__all__ = ["has_tables", "header_cards", "header_of_cards", "meta_of_tree", "meta_tree", "wcs_of_tree", "wcs_tree"]

#: ASDF holds no longer integers.
BITS_OF_INTEGERS = 63


def header_cards(header: Header) -> list[list[Any]]:
    """Keyword, value and comment of each card."""
    from astropy.io.fits.card import Undefined

    cards = []
    for card in header.cards:
        # As they are in the file: some cards have a name in their value, as in DP1 = 'EXTVER: 1'.
        value = card.rawvalue
        if isinstance(value, Undefined):
            value = None
        elif isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, int) and value.bit_length() > BITS_OF_INTEGERS:
            value = str(value)
        cards.append([str(card.rawkeyword), value, str(card.comment)])
    return cards


def header_of_cards(cards: Sequence[Sequence[Any]]) -> Header:
    """The header of such a list."""
    from astropy.io.fits import Card, Header

    return Header([Card(str(keyword), value, str(comment)) for keyword, value, comment in cards])


def meta_tree(meta: Any) -> dict[str, Any]:
    """A frame's ``meta`` as a tree: the cards of a FITS header, or a mapping as it is."""
    from astropy.io.fits import Header

    return {"cards": header_cards(meta)} if isinstance(meta, Header) else {"mapping": dict(meta)}


def meta_of_tree(tree: Any) -> Any:
    """What `meta_tree` was made of."""
    return header_of_cards(tree["cards"]) if "cards" in tree else dict(tree["mapping"])


def has_tables(wcs: Any) -> bool:
    """Whether a WCS has tables of distortion, which are not in its header."""
    return any(getattr(wcs, name, None) is not None for name in ("cpdis1", "cpdis2", "det2im1", "det2im2"))


def wcs_tree(wcs: Any) -> Any:
    """A WCS of FITS as a tree: its header, and the images of its distortion tables; any other as it is."""
    from astropy.wcs import WCS

    if not isinstance(wcs, WCS):
        return wcs
    hdus = wcs.to_fits(relax=True)
    if not all(hdu.is_image for hdu in hdus):
        return wcs
    return {
        "header": header_cards(hdus[0].header),
        "naxis": int(wcs.naxis),
        "pixel_shape": None if wcs.pixel_shape is None else [int(length) for length in wcs.pixel_shape],
        "tables": [{"header": header_cards(hdu.header), "data": np.asarray(hdu.data)} for hdu in hdus[1:]],
    }


def wcs_of_tree(tree: Any) -> Any:
    """What `wcs_tree` was made of."""
    from astropy.io import fits
    from astropy.wcs import WCS

    if not isinstance(tree, Mapping):
        return tree
    header = header_of_cards(tree["header"])
    tables = [fits.ImageHDU(np.asarray(table["data"]), header_of_cards(table["header"])) for table in tree["tables"]]
    header["NAXIS"] = int(tree["naxis"])
    wcs = WCS(header, fobj=fits.HDUList([fits.PrimaryHDU(), *tables]))
    wcs.pixel_shape = tree.get("pixel_shape")
    return wcs
