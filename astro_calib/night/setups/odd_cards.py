"""Cards that may tell a setting or a filter, and say something else in the calibration frames than in the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.names import PLURALS
from astro_calib.night.headers.setting_cards import may_be_filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.setups.setups import OfSetup

__all__ = ["doubts_of_cards", "doubts_of_filters"]

#: A card with more values than this, and than half as many as there are frames, is a count or a place.
FEW = 3


def doubts_of_cards(frames: Sequence[OfSetup]) -> Iterator[str]:
    """
    Yield a remark on each card that is the same in all frames of a kind, and another in the science frames.

    One that differs from frame to frame is a count or a time, and no setting.
    """
    kinds = {kind: [frame for frame in frames if frame.kind == kind] for kind in ("science", *PLURALS)}
    # Only the first frames need to have a card for it to be one of all.
    cards = {card for group in kinds.values() if group for card in group[0].hints if not may_be_filter(card)}
    said: dict[tuple[str, str, str], list[str]] = {}
    for card in sorted(cards):
        values = {kind: {frame.hints.get(card) for frame in group} for kind, group in kinds.items() if group}
        of_science = values.pop("science", set())
        # A telescope that turns over has lights of both kinds.
        several = 2 if "FLIP" in card else 1
        if len(of_science) > several or any(len(found) > 1 for found in values.values()):
            continue
        for kind, (value,) in values.items():
            different = set() if value is None else of_science - {value, None}
            for other in sorted(map(str, different)):
                said.setdefault((card, str(value), other), []).append(PLURALS[kind])
    for (card, own, other), names in said.items():
        what = "whether pixels were mirrored" if "FLIP" in card else "a setting of the camera"
        yield (
            f"{card} is {own or 'blank'!r} in the {' and '.join(names)}, and {other or 'blank'!r} in "
            f"science frames: if it tells {what}, they do not go together; calibrate with frames of the same {card}"
        )


def doubts_of_filters(frames: Sequence[RawFrame]) -> Iterator[str]:
    """
    Yield a remark on each card that may name a filter, and parts frames which count as being of one filter.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups.odd_cards import doubts_of_filters
    >>> @dataclass
    ... class Frame:
    ...     kind: str
    ...     hints: dict
    ...     filter: str = "V"
    >>> (said,) = doubts_of_filters(
    ...     [
    ...         Frame("flat", {"FILTERB": "open"}),
    ...         Frame("science", {"FILTERB": "nd1"}),
    ...     ]
    ... )
    >>> said[:75]
    "FILTERB is 'open' in the flats of filter V, and 'nd1' in its science frames"
    """
    groups: dict[str, list[RawFrame]] = {}
    for frame in frames:
        if frame.kind in ("flat", "science"):
            groups.setdefault(frame.filter, []).append(frame)
    for name, group in groups.items():
        for card in dict.fromkeys(card for frame in group for card in frame.hints if may_be_filter(card)):
            told = [(frame.kind, frame.hints[card]) for frame in group if card in frame.hints]
            of_flats = list(dict.fromkeys(value for kind, value in told if kind == "flat"))
            of_science = list(dict.fromkeys(value for kind, value in told if kind == "science"))
            is_count = len(set(told)) > max(FEW, len(told) / 2)
            if is_count or not of_flats or (len(of_flats) == 1 and not set(of_science) - set(of_flats)):
                continue
            of_filter = f"of filter {name}" if name else "without a filter name"
            differing = f"{card} is {_either(of_flats)} in the flats {of_filter}"
            differing += f", and {_either(of_science)} in its science frames" if of_science else ""
            yield (
                f"{differing}: if it tells a filter, they do not go together; name it under filter in the [keywords] "
                "of a profile"
            )


def _either(values: Sequence[str]) -> str:
    return " or ".join(map(repr, values))
