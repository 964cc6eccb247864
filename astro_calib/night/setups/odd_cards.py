"""Cards that may tell a setting, and say something else in the calibration frames than in the science frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astro_calib.night.setups.setups import OfSetup

__all__ = ["doubts_of_cards"]

PLURALS = {"bias": "biases", "dark": "darks", "flat": "flats"}


def doubts_of_cards(frames: Sequence[OfSetup]) -> Iterator[str]:
    """
    Yield a remark on each card that is the same in all frames of a kind, and another in the science frames.

    One that differs from frame to frame is a count or a time, and no setting.
    """
    kinds = {kind: [frame for frame in frames if frame.kind == kind] for kind in ("science", *PLURALS)}
    # Only the first frames need to have a card for it to be one of all.
    cards = {card for group in kinds.values() if group for card in group[0].hints}
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
