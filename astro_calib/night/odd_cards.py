"""Cards that may tell a setting, and say something else in the calibration frames than in the science frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astro_calib.night.frames import RawFrame

__all__ = ["doubts_of_cards"]

PLURALS = {"bias": "biases", "dark": "darks", "flat": "flats"}


def doubts_of_cards(frames: Sequence[RawFrame]) -> Iterator[str]:
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
        if any(len(found) > 1 or None in found for found in values.values()) or "science" not in values:
            continue
        (of_science,) = values.pop("science")
        for kind, (value,) in values.items():
            if value != of_science:
                said.setdefault((card, str(value), str(of_science)), []).append(PLURALS[kind])
    for (card, value, of_science), names in said.items():
        what = "whether pixels were mirrored" if "FLIP" in card else "a setting of the camera"
        yield (
            f"{card} is {value or 'blank'!r} in the {' and '.join(names)}, and {of_science or 'blank'!r} in the "
            f"science frames: if it tells {what}, they do not go together; calibrate with frames of the same {card}"
        )
