"""Files that are not among the results, in words: those that are lost, and those that nobody will miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.arguments import printable
from astro_calib.night.common.names import in_rows
from astro_calib.night.common.text import listed, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import UnusedFile

__all__ = ["lost_lines", "reason_lines"]


def lost_lines(
    lost: Sequence[UnusedFile], reduced: int, called: Mapping[Path, str], width: int | None = None
) -> list[str]:
    """
    Return which science frames are missing in the results, and which files may be some; nothing if none are.

    ``reduced`` is how many are not missing, ``called`` what files are called.
    """
    science = [file for file in lost if file.kind == "science"]
    unknown = [file for file in lost if file.doubt == "unknown"]
    several = [file for file in lost if file.doubt == "several"]
    unreadable = [file for file in lost if not file.kind and file not in (*unknown, *several)]
    others = [file for file in lost if file.kind not in ("", "science")]
    lines = []
    for title, files in (
        (f"{len(science)} of {len(science) + reduced} science frames could not be reduced", science),
        (f"files of a kind that is not known, which may be science frames ({len(unknown)})", unknown),
        (f"files that fit patterns of several kinds ({len(several)})", several),
        (f"files that cannot be read, and may be science frames ({len(unreadable)})", unreadable),
        (f"frames that could not be used, or results that could not be written ({len(others)})", others),
    ):
        if files:
            lines += [f"{title}:", *reason_lines(files, called, width)]
    return lines


def reason_lines(files: Iterable[UnusedFile], called: Mapping[Path, str], width: int | None = None) -> list[str]:
    """Return for each reason why files are left out the names of the files, and the reason."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.reason, []).append(called.get(file.path, file.path.name))
    lines = []
    for reason, names in groups.items():
        lines += paragraph(f"{listed(in_rows(names))}: {printable(reason)}", width, following=4 * " ")
    return lines
