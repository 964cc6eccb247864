"""How the loops are compiled that only other loops call."""

from __future__ import annotations

from typing import Any

__all__ = ["INNER"]

#: Without what Python would need to call them, which takes a quarter of the time to compile a loop.
INNER: dict[str, Any] = {"cache": True, "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
