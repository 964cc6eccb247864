"""FITS headers as plain lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

__all__ = ["header_cards", "header_of_cards", "meta_of_tree", "meta_tree"]


def header_cards(header: Header) -> list[list[Any]]:
    """Keyword, value and comment of each card."""
    from astropy.io.fits.card import Undefined

    cards = []
    for card in header.cards:
        value = card.value
        if isinstance(value, Undefined):
            value = None
        elif isinstance(value, np.generic):
            value = value.item()
        cards.append([str(card.keyword), value, str(card.comment)])
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
