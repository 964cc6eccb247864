"""
The command ``astro-calib``: arguments to function calls, errors to one clear message and exit status 1.

Each of its commands has a module, which has the command's name and holds it as ``command``.
"""

from __future__ import annotations

import click

from astro_calib.cli import advise, audit, demo, info, profile, ptc, reduce, report, validate
from astro_calib.cli.group import Commands, log_to_stderr
from astro_calib.cli.options import example

__all__ = ["main"]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("demo", "reduce raw/ -o reduced/ --gain 1.5 --read-noise 8"),
)
@click.version_option(package_name="astro-calib", prog_name="astro-calib")
@click.pass_context
def main(context: click.Context) -> None:
    """Reduce CCD frames, with error bars that know where they came from."""
    context.with_resource(log_to_stderr())


for module in (reduce, report, info, profile, demo, validate, advise, ptc, audit):
    main.add_command(module.command)
