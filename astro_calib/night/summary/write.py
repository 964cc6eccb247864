"""The summary of a night on disk: as JSON, as a page, and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from astro_calib.io.atomic import write_atomically
from astro_calib.night.common.log import LOG
from astro_calib.report.page import REPORT, write_page
from astro_calib.report.summary_file import SUMMARY_JSON

if TYPE_CHECKING:
    from astro_calib.night.common.output import Output
    from astro_calib.night.summary.summary import NightSummary

__all__ = ["write_summary"]


def write_summary(summary: NightSummary, output: Output) -> NightSummary:
    """Write a summary in its three forms, the text last, and return it with what is to be said of the page."""
    _write_json(summary, output)
    try:
        write_page(output.directory)
    except OSError:
        # A disk that is full is full for the summary, too.
        raise
    except Exception as error:  # noqa: BLE001  the page tells of the results, and is none of them
        LOG.exception("the report could not be made")
        reason = str(error) or type(error).__name__
        remark = f"{REPORT} could not be made: {reason}; astro-calib report {output.directory} tries again"
        summary = replace(summary, report=False, remarks=(*summary.remarks, remark))
        _write_json(summary, output)
    text = f"{summary}\n"
    write_atomically(output.summary, lambda path: path.write_text(text, encoding="utf-8", errors="replace"))
    return summary


def _write_json(summary: NightSummary, output: Output) -> None:
    text = json.dumps(summary.to_dict(), allow_nan=False)
    path = output.directory / SUMMARY_JSON
    output.make_way(path)
    write_atomically(path, lambda temporary: temporary.write_text(f"{text}\n", encoding="utf-8"))
