"""The reports that a command may write beside its results (``--log``, ``--json``): where they may lie, and the JSON."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.cli.output import Failure, check_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ELSEWHERE = "give another name"


def check_reports(
    reports: Mapping[str, Path | None], raw: Iterable[Path], out: Path, *, inputs: Iterable[Path], overwrite: bool
) -> None:
    """
    Find out whether reports can be written, also into the directory of the results, which may not exist yet.

    ``reports`` are paths by option. An OSError says which would take the place of a raw frame, of another of the
    ``inputs``, of a result or of another report, or why it cannot be written.
    """
    asked = {option: path for option, path in reports.items() if path is not None}
    real = {option: os.path.realpath(path) for option, path in asked.items()}
    if len(set(real.values())) < len(real):
        msg = f"{' and '.join(real)} are the same file, {next(iter(asked.values()))}; {ELSEWHERE} for one of them."
        raise FileExistsError(msg)
    for option, path in asked.items():
        _check_place(f"{option} {path}", path, out)
        if out.exists() or Path(real[option]).parent != Path(os.path.realpath(out)):
            check_writable(path, overwrite)
        if option == "--json" and path.exists() and not path.is_file():
            msg = f"{option} {path} is no regular file; {ELSEWHERE}."
            raise FileExistsError(msg)
        if path.exists():
            _check_replaced(f"{option} {path}", path, raw, inputs)


def _check_place(called: str, path: Path, out: Path) -> None:
    """Refuse the name of a picture, as raw frames and results have, and what the reduction writes itself."""
    from astro_calib.night.common.output import PARTS, SAID
    from astro_calib.night.files.find import OTHER_FORMATS
    from astro_calib.night.headers.raw_file import FITS_SUFFIX

    real, place = Path(os.path.realpath(path)), Path(os.path.realpath(out))
    for name in (path, real):
        if FITS_SUFFIX.search(name.name) or name.suffix.lower() in OTHER_FORMATS:
            msg = f"{called} has the name of a picture, such as a raw frame; {ELSEWHERE}."
            raise FileExistsError(msg)
    if any(real == place / name for name in SAID) or any((place / part) in real.parents for part in PARTS):
        msg = f"{called} is where results go; {ELSEWHERE}, such as {out / 'report'}{path.suffix}."
        raise FileExistsError(msg)


def _check_replaced(called: str, path: Path, raw: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to replace what is read, under whichever name."""
    from astro_calib.night.files.find import find_files

    files = list(inputs)
    # What is wrong with the raw files is said when they are read.
    with suppress(OSError, ValueError):
        files += find_files(raw)[0]
    if any(file.exists() and file.samefile(path) for file in files):
        msg = f"{called} is one of the files to be read, and would be lost; {ELSEWHERE}."
        raise FileExistsError(msg)


@contextmanager
def told_as_json(path: Path | None) -> Iterator[Callable[[dict[str, Any]], str]]:
    """
    Give a function that writes the results as JSON; if there are none, write why.

    The function returns why that cannot be done; an empty text if it is done.
    """
    told = False

    def tell(content: dict[str, Any]) -> str:
        nonlocal told
        told = True
        return "" if path is None else _write_json(path, content)

    try:
        yield tell
    except Failure as failure:
        if not told and path is not None and path.parent.is_dir():
            problem = tell({"exit_status": failure.exit_code, "outcome": "nothing", "error": failure.message})
            if problem:
                msg = f"{failure.message}\n{problem}"
                raise type(failure)(msg) from failure
        raise


def _write_json(path: Path, content: dict[str, Any]) -> str:
    import json

    from astro_calib.io.atomic import write_atomically

    text = json.dumps(content, indent=2, allow_nan=False)
    try:
        write_atomically(path, lambda temporary: temporary.write_text(f"{text}\n", encoding="utf-8"))
    except OSError as error:
        return not_written(path, error)
    return ""


def not_written(path: Path, error: OSError) -> str:
    """Say that a report could not be written, and why."""
    return f"{path} could not be written: {error.strerror or error}."
