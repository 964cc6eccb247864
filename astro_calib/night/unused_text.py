"""Files that are not among the results, in words: those that are lost, and those that nobody will miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.night.names import named
from astro_calib.night.text import glued, listed, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astro_calib.night.frames import UnusedFile

__all__ = ["lost_lines", "reason_lines"]


def lost_lines(lost: Sequence[UnusedFile], reduced: int, width: int | None = None) -> list[str]:
    """Return which science frames are missing in the results, and which files may be some; nothing if none are."""
    science = [file for file in lost if file.kind == "science"]
    unreadable = [file for file in lost if not file.kind]
    others = [file for file in lost if file.kind not in ("", "science")]
    lines = []
    for title, files in (
        (f"{len(science)} of {len(science) + reduced} science frames could not be reduced", science),
        (f"files that cannot be read, and may be science frames ({len(unreadable)})", unreadable),
        (f"frames that could not be used, or results that could not be written ({len(others)})", others),
    ):
        if files:
            lines += [f"{title}:", *reason_lines(files, width)]
    return lines


def reason_lines(files: Iterable[UnusedFile], width: int | None = None, *, short: bool = False) -> list[str]:
    """Return for each reason why files are left out the names of the files, and the reason."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.reason, []).append(file.path.name)
    lines = []
    for reason, names in groups.items():
        which = named(list(map(glued, names))) if short else listed(names)
        lines += paragraph(f"{which}: {printable(reason)}", width, following=4 * " ")
    return lines
