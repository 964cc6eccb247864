"""A Monte Carlo test of the error bars: simulate raw frames, reduce them, compare errors made with errors predicted."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy import log

from astro_calib.io.terminal import progress_bar
from astro_calib.kernels.threads import number_of_threads
from astro_calib.validation.comparison import Comparison
from astro_calib.validation.trial import Sums

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from astropy.table import Row, Table

    from astro_calib.validation.trial import Trial

__all__ = ["Validation", "validate", "within"]

#: The packages that the result can be compared with.
AGAINST = ("ccdproc",)
#: The other package takes one realisation in so many: how far off it is need not be known to a thousandth.
PART_AGAINST = 10
#: One process takes at least so many realisations of a trial at a time, and at most one part of so many.
SMALLEST_SHARE, SHARES = 10, 20
#: What a comparison has in the table.
FOUND = ("predicted", "observed", "ratio", "ratio_error")


@dataclass(frozen=True)
class Validation:
    """
    The result of `validate`.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A row for each trial, with the columns

        - ``step`` and ``what``: what is tried, and the error of what;
        - ``predicted``: root of the mean variance predicted; ``observed``: root of the mean squared error made, both in
          the unit of the result, which is electron (adu where it says so);
        - ``ratio``, observed over predicted, and ``ratio_error``, its standard error;
        - ``tolerance``: largest difference of the ratio from 1; ``limit``: whether the error predicted is an upper
          limit, so that the ratio may be smaller;
        - ``passed``: whether the error bar is right, as far as the run can tell; ``known``: whether the ratio is known
          as well as it has to be, in a full run to a third of the tolerance.

        Against ccdproc also ``ccdproc_predicted``, ``ccdproc_observed``, ``ccdproc_ratio`` and ``ccdproc_ratio_error``,
        for ccdproc's own result, from a tenth of the realisations; masked where it has no such thing.

        Its ``meta`` tells ``seed``, ``quick``, ``date`` and the ``versions`` of the packages.

    Examples
    --------
    >>> from astro_calib.validation import validate
    >>> validation = validate(
    ...     quick=True, steps=["gain"], jobs=1, progress=False
    ... )
    >>> validation.passed, validation.failures
    (True, [])
    >>> validation.table.colnames[:5]
    ['step', 'what', 'predicted', 'observed', 'ratio']
    """

    table: Table

    @property
    def passed(self) -> bool:
        """Whether all error bars are right, and known well enough to say so."""
        return not self.failures and not self.unknown

    @property
    def failures(self) -> list[str]:
        """The trials whose error bar is wrong, by step and what."""
        return _named(self.table[~self.table["passed"]])

    @property
    def unknown(self) -> list[str]:
        """The others that too few realisations were drawn of to tell, by step and what."""
        return _named(self.table[self.table["passed"] & ~self.table["known"]])

    def __str__(self) -> str:
        """The table with a line for each trial, and a line that sums it up."""
        return "\n".join([*_lines(self.table), _summary(self)])


def validate(
    *,
    quick: bool = False,
    against: str | None = None,
    seed: int = 0,
    steps: Iterable[str] | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> Validation:
    r"""
    Find out whether the error bars are true.

    Raw frames are simulated, with all their noise and that of their masters drawn anew each time, and reduced by the
    public functions of this package; the errors made are compared with the errors predicted, step by step and from end
    to end.

    Parameters
    ----------
    quick : bool
        Take seconds instead of minutes: a hundredth of the realisations, so that only an error bar that is off by
        ten per cent or so is found.
    against : {"ccdproc"}, optional
        Do the same with ccdproc, where it can, and compare its errors with what it predicts.
    seed : int
        The same seed gives the same frames, however many processes there are and whatever else is tried.
    steps : iterable of str, optional
        The steps to be tried, such as ``["overscan", "chain"]``; all by default.
    jobs : int, optional
        How many processes share the work, each of one thread; by default as many as there are CPUs that it may use.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Validation
        With a table of the trials, and whether they passed.

    Raises
    ------
    ValueError
        If an argument has no meaning; the message names the steps that there are.

    Notes
    -----
    The ratio is that of the root mean square error over the root of the mean predicted variance. Its standard error is
    from the scatter between realisations, so that noise which is common to a frame counts once a frame. In a full run
    it is at most a third of the tolerance, or the trial needs more realisations. In a quick run a difference fails if
    it is larger than the tolerance, and than chance would make it once in ten thousand trials: with some 150 trials,
    in one or two of a hundred quick runs chance makes one of them fail.

    A script that calls this with more than one job must do so under ``if __name__ == "__main__":``, because the
    processes import it again.

    Examples
    --------
    >>> from astro_calib.validation import validate
    >>> result = validate(
    ...     quick=True, steps=["deviation"], jobs=1, progress=False
    ... )
    >>> result.passed
    True
    >>> print(result.table["what"][0])
    in adu, 8 electrons a step: pixel
    """
    if against is not None and against not in AGAINST:
        msg = f"against is {against!r}; expected one of {', '.join(AGAINST)}, or None."
        raise ValueError(msg)
    number = number_of_threads() if jobs is None else jobs
    if number < 1:
        msg = f"jobs is {jobs}; at least one process has to do the work."
        raise ValueError(msg)
    if seed < 0:
        msg = f"seed is {seed}; it must be zero or positive."
        raise ValueError(msg)
    trials = _chosen(steps)
    shares = [share for trial in trials for share in _shares(trial, quick, against, seed)]
    sums: dict[str, tuple[list[Sums], list[Sums]]] = {trial.name: ([], []) for trial in trials}
    total = sum(share.number for share in shares)
    with (
        closing(_done(shares, number)) as done,
        progress_bar(desc="validating", unit="draw", total=total, show=progress) as bar,
    ):
        for share, found in zip(shares, done, strict=True):
            for known, new in zip(sums[share.name], found, strict=True):
                known.extend(new)
            bar.update(share.number)
    ours = [_compared(own) for own, _ in sums.values()]
    theirs = [_compared(other) if other else None for _, other in sums.values()]
    return Validation(_table(trials, ours, theirs if against else None, seed=seed, quick=quick))


def _compared(realisations: Sequence[Sums]) -> Comparison:
    return Comparison.of(*map(np.array, zip(*realisations, strict=True)))


class _Share(NamedTuple):
    """Some of the realisations of a trial, for one process."""

    name: str
    seed: int
    first: int
    number: int
    #: Realisations before this one are done with the other package, too.
    against: int


def _known() -> dict[str, Trial]:
    from astro_calib.validation import trials

    return {trial.name: trial for trial in trials.TRIALS}


def _chosen(steps: Iterable[str] | None) -> list[Trial]:
    trials = list(_known().values())
    if steps is None:
        return trials
    wanted = [steps] if isinstance(steps, str) else list(steps)
    known = list(dict.fromkeys(trial.step for trial in trials))
    unknown = [step for step in wanted if step not in known]
    if unknown or not wanted:
        what = f"there is no step {unknown[0]!r}" if unknown else "no step is given"
        msg = f"{what}; there are {', '.join(known)}."
        raise ValueError(msg)
    return [trial for trial in trials if trial.step in wanted]


def _shares(trial: Trial, quick: bool, against: str | None, seed: int) -> Iterator[_Share]:
    total = trial.number(quick=quick)
    other = max(trial.number(quick=True), total // PART_AGAINST) if against and trial.with_ccdproc else 0
    size = max(SMALLEST_SHARE, -(-total // SHARES))
    for first in range(0, total, size):
        yield _Share(trial.name, seed, first, min(size, total - first), other)


def _done(shares: Sequence[_Share], jobs: int) -> Generator[tuple[list[Sums], list[Sums]]]:
    """The results of the shares, in their order."""
    jobs = min(jobs, len(shares))
    with _one_thread():
        if jobs == 1:
            yield from map(_of_share, shares)
            return
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import active_children, get_context

        # Not by a fork, after which threads of this process could be waited for in vain; and not a Pool, which would
        # wait in vain for a process that was killed.
        others = set(active_children())
        executor = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (log.level,))
        try:
            yield from executor.map(_of_share, shares)
        except BaseException:
            # Nobody waits for the shares that were begun.
            for process in set(active_children()) - others:
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _begin(level: int) -> None:
    """Prepare a process that helps: it logs as much as the one that began it, and prints nothing to its output."""
    # Ctrl-C reaches all processes of a terminal; the one that began this one ends it, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.setLevel(level)
    sys.stdout = sys.stderr


@contextmanager
def _one_thread() -> Iterator[None]:
    """
    Keep this process, and those that it starts, to one core each.

    L.A.Cosmic would take all of them, and the processes wait for each other. It looks when it is loaded, once.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _of_share(share: _Share) -> tuple[list[Sums], list[Sums]]:
    """The sums of each realisation with this package, and those with the other one."""
    import warnings

    from astro_calib.errors import NoiseWarning

    trial = _known()[share.name]
    key = tuple(share.name.encode())
    own, other = [], []
    with warnings.catch_warnings():
        # Where the package says that it is less exact than usual it is tried, too.
        warnings.simplefilter("ignore", NoiseWarning)
        for position in range(share.first, share.first + share.number):
            seed = np.random.SeedSequence(share.seed, spawn_key=(*key, position))
            drawn = trial.draw(np.random.default_rng(seed))
            try:
                own.append(Sums.of(*trial.reduce(drawn)))
                if position < share.against:
                    assert trial.with_ccdproc is not None
                    other.append(Sums.of(*trial.with_ccdproc(drawn)))
            except Exception as error:
                msg = f"{share.name}, realisation {position} of seed {share.seed}: {type(error).__name__}: {error}"
                raise RuntimeError(msg) from error
    return own, other


def _table(
    trials: Sequence[Trial],
    ours: Sequence[Comparison],
    theirs: Sequence[Comparison | None] | None,
    *,
    seed: int,
    quick: bool,
) -> Table:
    from datetime import UTC, datetime
    from importlib.metadata import version

    from astropy.table import MaskedColumn, Table

    packages = ("astro-calib", "astropy", "numpy", *(() if theirs is None else AGAINST))
    today = datetime.now(UTC).date().isoformat()
    versions = {name: version(name) for name in packages}
    table = Table(meta={"seed": seed, "quick": quick, "date": today, "versions": versions})
    for name in ("step", "what"):
        table[name] = [getattr(trial, name) for trial in trials]
    for name in FOUND:
        table[name] = [getattr(one, name) for one in ours]
    for name in ("tolerance", "limit"):
        table[name] = [getattr(trial, name) for trial in trials]
    table["passed"] = [trial.passes(one, quick=quick) for trial, one in zip(trials, ours, strict=True)]
    table["known"] = [trial.known(one, quick=quick) for trial, one in zip(trials, ours, strict=True)]
    if theirs is not None:
        for name in FOUND:
            values = [getattr(one, name, np.nan) for one in theirs]
            table[f"ccdproc_{name}"] = MaskedColumn(values, mask=[one is None for one in theirs])
    return table


def within(row: Row) -> str:
    """How far the ratio in a row of the table may be from 1, or how large it may be for an upper limit."""
    return f"<= {1 + row['tolerance']:.2f}" if row["limit"] else f"{row['tolerance']:.2%}"


def _named(rows: Table) -> list[str]:
    return [f"{row['step']}, {row['what']}" for row in rows]


def _lines(table: Table) -> list[str]:
    """A line for each trial, under one that names the columns; the first three are words, the others numbers."""
    rows = [["", "step", "error of", "predicted", "observed", "ratio", "", "within"]]
    rows += [
        [
            "FAIL" if not row["passed"] else "pass" if row["known"] else "more",
            row["step"],
            row["what"],
            f"{row['predicted']:.4g}",
            f"{row['observed']:.4g}",
            f"{row['ratio']:.4f}",
            f"+- {row['ratio_error']:.4f}",
            within(row),
        ]
        for row in table
    ]
    if "ccdproc_ratio" in table.colnames:
        ratios = ["" if ratio is np.ma.masked else f"{ratio:.3f}" for ratio in table["ccdproc_ratio"]]
        rows = [[*row, cell] for row, cell in zip(rows, ["ccdproc", *ratios], strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in rows)
    return [
        "  ".join(f"{cell:{'<' if place < 3 else '>'}{width}}" for place, (cell, width) in enumerate(line)).rstrip()
        for line in lines
    ]


def _summary(result: Validation) -> str:
    table = result.table
    kind = f"{'quick' if table.meta['quick'] else 'full'} run, seed {table.meta['seed']}"
    wrong, unknown = len(result.failures), len(result.unknown)
    if not wrong and not unknown:
        return f"all {len(table)} error bars are right ({kind})."
    parts = [f"{wrong} of {len(table)} error bars are wrong"] if wrong else []
    parts += [f"{unknown} of {len(table)} are not known well enough: more draws are needed"] if unknown else []
    return f"{'; '.join(parts)} ({kind})."
