"""
Give astropy a home where there is none.

astropy cannot be imported by a process whose home is unknown (a service or a container whose user is in no list) or may
not be looked into (root's, after a change of the user): it asks for its settings there. Importing this module first
lets such a process go on, with the settings that astropy begins with.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__: list[str] = []


def _is_of_use() -> bool:
    """Whether astropy can ask whether its settings are there."""
    try:
        (Path.home() / ".astropy").stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, RuntimeError):
        return False
    return True


if not _is_of_use():
    # As `docker run --user` and others have it.
    os.environ["HOME"] = "/"
