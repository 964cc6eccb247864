"""The report of a night: one HTML file that needs nothing else, made from what lies in the directory of the results."""

from __future__ import annotations

import base64
import hashlib
import math
import statistics
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from astro_calib.io.atomic import write_atomically
from astro_calib.photometry.ratios import RATIOS
from astro_calib.report.charts import histogram_chart, ratio_chart, share_bar
from astro_calib.report.gauge import MASTER_RATIO, SKY_RATIO, gauge
from astro_calib.report.star_lists import error_parts, read_stars
from astro_calib.report.summary_file import read_summary
from astro_calib.report.thumbnails import thumbnails

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

__all__ = ["REPORT", "write_page"]

REPORT = "report.html"
#: So many frames are shown with their pictures and stars, those with a remark first, and so many masters.
DETAILED, PICTURED = 24, 12
#: So many frames are in the tables, and so many names of files behind a reason.
LISTED, NAMED = 1000, 20
#: What stands for a number that is not known.
UNKNOWN = "–"  # noqa: RUF001  a dash, as tables have it
#: What the sources of noise are, in words.
SOURCES = {
    "shot noise": "light arrives as single photons: the sky, the stars, and the dark current",
    "shot noise of the star": "the star's own light arrives as single photons",
    "shot noise of the sky": "the sky and the dark current under the star arrive as single electrons",
    "read noise": "the amplifier adds it each time a pixel is read",
    "bias": "the master bias that was subtracted is itself known only so well",
    "dark": "the master dark that was subtracted is itself known only so well",
    "flat": "the master flat that the frame was divided by is itself known only so well",
    "gain": "how many electrons a step of the converter stands for is known only so well",
    "overscan": "the level of zero light is measured in a few columns",
    "gain and the rest": "how many electrons a step stands for, and what else goes with the star's light",
    "other": "all that is too small to be shown",
}


def write_page(out: Path) -> Path:
    """
    Write the report of the results in a directory, and return its path.

    A ValueError or an OSError says that the summary of the results is not there or is not one.
    """
    page = _template().render(_content(out, read_summary(out)))
    path = out / REPORT
    if path.is_symlink():
        # What it points to is not ours.
        path.unlink()
    write_atomically(path, lambda temporary: temporary.write_text(page, encoding="utf-8", errors="replace"))
    return path


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    files = resources.files("astro_calib.resources") / "report"
    # They come with the package; nothing else is put into the page as it is.
    style, script = ((files / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        loader=PackageLoader("astro_calib", "resources/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, percent=_percent)
    # The browser runs this script and this style only, whatever else got into the page.
    allowed = f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}"
    allowed += "; base-uri 'none'; form-action 'none'"
    environment.globals.update(style=style, script=script, allowed=allowed, finite=math.isfinite)
    return environment.get_template("page.html")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _number(value: float, form: str = ".4g") -> str:
    """A number as text, a dash where it is not known."""
    return format(value, form) if math.isfinite(value) else UNKNOWN


def _percent(value: float) -> str:
    return f"{100 * value:.3g}%" if math.isfinite(value) else UNKNOWN


def _content(out: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows."""
    science = told["science"]
    remarks: dict[str, list[str]] = {}
    for remark in told["remarks"]:
        for name in remark["files"]:
            remarks.setdefault(name, []).append(remark["text"])
    for number, frame in enumerate(science):
        frame["anchor"] = f"frame-{number + 1}"
        frame["remarks"] = remarks.get(frame["raw_name"], [])
        frame["bar"] = share_bar(frame["shares"])
        frame["gauge"] = gauge(frame["sky"]["ratio"], SKY_RATIO)
        frame["detailed"] = False
    chosen = sorted(science, key=lambda frame: not frame["remarks"])[:DETAILED]
    for frame in chosen:
        frame["detailed"] = True
        _add_details(out, frame)
    for number, master in enumerate(told["masters"]):
        master["gauge"] = gauge(master["noise_ratio"], MASTER_RATIO)
        master["file"] = Path(master["path"]).name
        name = f"{Path(master['path']).stem}-master.png"
        master["images"] = _images(out, name) if number < PICTURED else []
        master["picture"] = _link(out, name)
    shown = science[:LISTED]
    names = [name for frame in shown for name in (part["name"] for part in frame["bar"])]
    names += [part["name"] for frame in chosen for bar in frame["star_bars"] for part in bar["bar"]]
    return {
        **told,
        "title": ", ".join(dict.fromkeys(frame["object"] or "-" for frame in science[:6])) or "a night without frames",
        "frames": shown,
        "hidden": len(science) - len(shown),
        "pictured": PICTURED,
        "chosen": [frame for frame in science if frame["detailed"]],
        "anchors": {frame["raw_name"]: frame["anchor"] for frame in chosen},
        "kinds": _kinds(told["setups"]),
        "exposed": sum(frame["exposure_time"] for frame in science if math.isfinite(frame["exposure_time"])),
        "sky_ratio": _median([frame["sky"]["ratio"] for frame in science]),
        "stars": sum(frame["stars"] for frame in science),
        "legend": {name: SOURCES.get(name, "another source of noise") for name in dict.fromkeys(names)},
        "colours": _colours(names),
        "lost_groups": _by_reason(told["lost"]),
        "unused_groups": _by_reason(told["not_used"]),
        "left_out": sum((Counter(frame["left_out"]) for frame in science), Counter()).most_common(),
    }


def _add_details(out: Path, frame: dict[str, Any]) -> None:
    """Add to a frame what its section shows: its pictures, the chart of its pixels, and those of its stars."""
    stem = Path(frame["path"]).stem
    frame["images"] = _images(out, f"{stem}-frames.png")
    frame["picture"] = _link(out, f"{stem}-frames.png")
    frame["chart"] = None if frame["histogram"] is None else histogram_chart(frame["histogram"])
    stars = {} if frame["table"] is None else read_stars(out / "tables" / Path(frame["table"]).name)
    frame["ratios"] = {
        kind: ratio_chart(stars[before], stars[after])
        for kind, (before, after, _) in RATIOS.items()
        if before in stars and after in stars
    }
    parts = [(what, error_parts(stars, place)) for what, place in (("faint", 0.1), ("middling", 0.5), ("bright", 0.95))]
    frame["star_bars"] = [{"what": what, "bar": share_bar(shares)} for what, shares in parts if shares]


def _images(out: Path, name: str) -> list[str]:
    return thumbnails(out / "pictures" / name)


def _link(out: Path, name: str) -> str:
    """The address of a picture from the page; empty if there is none. It cannot lead anywhere else."""
    try:
        is_there = (out / "pictures" / name).is_file()
    except OSError:  # the name is too long, for example
        is_there = False
    return f"pictures/{quote(name)}" if is_there else ""


def _kinds(setups: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """How many raw frames there are of each kind."""
    return Counter(frame["kind"] for setup in setups for frame in setup["frames"]).most_common()


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return statistics.median(known) if known else math.nan


def _colours(names: Sequence[str]) -> dict[str, str]:
    """A class of the style sheet for each source of noise: the usual ones always have the same."""
    usual = [name for name in SOURCES if name != "other"]
    found = {name: f"c{number}" for number, name in enumerate(usual)}
    others = [name for name in dict.fromkeys(names) if name not in found and name != "other"]
    return found | {name: f"c{10 + number % 2}" for number, name in enumerate(others)} | {"other": "c12"}


def _by_reason(files: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """For each reason and kind, how many files, and the names of the first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for file in files:
        groups.setdefault((file["reason"], file["kind"]), []).append(Path(file["path"]).name)
    return [
        {
            "reason": reason,
            "kind": kind,
            "number": len(names),
            "names": names[:NAMED],
            "more": max(0, len(names) - NAMED),
        }
        for (reason, kind), names in groups.items()
    ]
