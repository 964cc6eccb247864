"""``astro-calib validate``: whether the error bars are true."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from astro_calib.cli.options import OVERWRITE, QUIET, example
from astro_calib.cli.output import Failure, check_writable, clear_errors, show


@click.command(
    "validate",
    epilog=example(
        "validate --quick",
        "validate --step overscan --step chain",
        "validate --against ccdproc -o validation.ecsv",
    ),
)
@click.option("--quick", is_flag=True, help="Seconds instead of minutes: find only what is off by ten per cent or so.")
@click.option("--against", type=click.Choice(["ccdproc"]), help="Do the same with another package.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same table.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Try this step only; may be given again.")
@click.option("-j", "--jobs", type=int, help="How many processes share the work; as many as there are CPUs by default.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the table to this file, as ECSV.")
@OVERWRITE
@QUIET
def command(
    quick: bool,
    against: str | None,
    seed: int,
    steps: tuple[str, ...],
    jobs: int | None,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Find out whether the error bars are true.

    Raw frames are simulated many times over, reduced step by step and from end to end, and the errors that are made
    are compared with the errors that are predicted. A line for each trial says: the step; the error of what; the
    error predicted and the error observed (electron, or adu); their ratio, with its standard error; within how much
    of 1 it must be, or what it may be at most. With --against ccdproc the last column is the ratio for ccdproc and its
    own error bars. The exit status is 1 if an error bar is wrong, or needs more draws to tell ("more").
    """
    with clear_errors():
        from astro_calib.io.atomic import write_atomically
        from astro_calib.validation import validate as validated

        if out is not None:
            check_writable(out, overwrite)
        result = validated(quick=quick, against=against, seed=seed, steps=steps or None, jobs=jobs, progress=not quiet)
        # First, so that nothing is lost if the table cannot be written.
        if not quiet:
            show(result)
        if out is not None:
            write_atomically(out, partial(result.table.write, format="ascii.ecsv"))
    problems = {"wrong error bars": result.failures, "not known well enough, more draws are needed": result.unknown}
    lines = [
        line for what, names in problems.items() if names for line in (f"{what}:", *(f"  {name}" for name in names))
    ]
    if lines:
        raise Failure("\n".join(lines))
