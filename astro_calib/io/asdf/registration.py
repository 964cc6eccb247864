"""How ``CCDFrame.read``, ``CCDFrame.write`` and the search for masters come to know ASDF."""

from __future__ import annotations

from typing import Any

from astropy.io import registry

from astro_calib.frame.frame import CCDFrame
from astro_calib.io.asdf.read import read_asdf, stored_asdf
from astro_calib.io.asdf.write import write_asdf
from astro_calib.io.find import OPENERS


def _is_asdf(_origin: str, path: Any, fileobj: Any, *_args: Any, **_kwargs: Any) -> bool:
    """Whether a file is ASDF, from what it is called or how it begins."""
    if path is not None and str(path).lower().endswith(".asdf"):
        return True
    if fileobj is None or not hasattr(fileobj, "seek"):
        return False
    where = fileobj.tell()
    start = fileobj.read(5)
    fileobj.seek(where)
    return bool(start == b"#ASDF")


registry.register_reader("asdf", CCDFrame, read_asdf)
registry.register_writer("asdf", CCDFrame, write_asdf)
registry.register_identifier("asdf", CCDFrame, _is_asdf)
OPENERS["asdf"] = stored_asdf
