"""Where it is told what is done with each file of a night: the logger ``astro_calib``, which says nothing by itself."""

from __future__ import annotations

import logging

__all__ = ["LOG"]

LOG = logging.getLogger("astro_calib")
# Otherwise Python would print warnings that nobody asked for.
LOG.addHandler(logging.NullHandler())
