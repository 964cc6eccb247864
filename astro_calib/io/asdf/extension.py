"""Entry points that asdf calls when it starts: our schemas and converters. They import nothing heavy."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["get_extensions", "get_resource_mappings"]

MANIFEST = "asdf://astro-calib.org/manifests/astro-calib-1.0.0"


def get_resource_mappings() -> list[Mapping[str, bytes]]:
    """The schemas and the manifest by their addresses; an entry point of asdf."""
    from asdf.resource import DirectoryResourceMapping

    root = resources.files("astro_calib") / "resources" / "asdf"
    return [
        DirectoryResourceMapping(root / part, f"asdf://astro-calib.org/{part}/") for part in ("schemas", "manifests")
    ]


def get_extensions() -> list[Any]:
    """The extension with our tags; an entry point of asdf."""
    from asdf.extension import ManifestExtension

    from astro_calib.io.asdf import converters

    return [
        ManifestExtension.from_uri(
            MANIFEST,
            converters=[
                converters.FrameConverter(),
                converters.BudgetConverter(),
                converters.SourceConverter(),
                converters.DetectorConverter(),
                converters.CCDDataConverter(),
                converters.InverseVarianceConverter(),
                converters.StarTableConverter(),
            ],
        )
    ]
