"""What both file formats write of a frame beside its arrays, header and WCS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.frame.lending import file_frame, master_of
from astro_calib.io.tree import WITHOUT_TABLES, budget_tree
from astro_calib.masters.provenance import steps_to_write

if TYPE_CHECKING:
    from pathlib import Path

    from astro_calib.frame.frame import CCDFrame

__all__ = ["frame_tree", "note_file"]


def frame_tree(frame: CCDFrame, path: Path | None, *, include_masters: bool) -> dict[str, Any]:
    """
    Version, identity, origin, budget and provenance of a frame.

    Parameters
    ----------
    frame : CCDFrame
    path : Path or None
        The file that it is written to.
    include_masters : bool
        Whether to write what belongs to masters, too.

    Returns
    -------
    dict
        Of plain Python objects and ndarrays.
    """
    master = master_of(frame)
    # Now that it is known to be that of the data.
    budget = frame.known_budget
    tree: dict[str, Any] = {
        "version": WITHOUT_TABLES,
        "frame_id": master.identity,
        "dtype": frame.dtype.name,
        "provenance": steps_to_write(frame),
        "budget": None,
    }
    if master.checksum is not None:
        tree["checksum"] = master.checksum
    if budget is not None:
        tree["budget"] = budget_tree(
            budget,
            identity=master.identity,
            directory=None if path is None else path.absolute().parent,
            whole=include_masters,
        )
        tree["version"] = tree["budget"].pop("version")
    history = frame.history
    if history.origin is not None:
        tree["origin"] = {
            "identity": history.origin.raw.identity(),
            "shape": list(history.origin.raw.shape),
            "window": [list(part) for part in history.origin.window],
            "quantum": float(history.origin.quantum),
        }
    if history.flattened_step is not None:
        tree["digital_step"] = float(history.flattened_step)
    if history.applied:
        tree["applied"] = [list(one) for one in history.applied]
    if frame.n_used is not None:
        tree["n_used"] = frame.n_used
    return tree


def note_file(frame: CCDFrame, path: Path) -> None:
    """Take note of the file that a frame was just written to."""
    master = master_of(frame)
    master.name, master.path = path.name, path.absolute()
    file_frame(frame, master)
