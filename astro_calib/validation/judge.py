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

from astro_calib.validation.trial import Comparison, Sums

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from astropy.table import Row, Table

    from astro_calib.validation.trial import Trial

__all__ = ["Validation", "validate", "within"]

#: With what the result can be compared.
AGAINST = ("ccdproc",)
#: The other package takes this part of the realisations: how far off it is need not be known to a thousandth.
PART_AGAINST = 10
#: A part of a trial that one process does at a time is this many realisations, and such a part of all of them.
SMALLEST_SHARE, SHARES = 10, 20


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
    >>> validation = validate(quick=True, steps=["gain"], jobs=1, progress=False)
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
        """The table, a line a trial, and what it amounts to."""
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
    >>> result = validate(quick=True, steps=["deviation"], jobs=1, progress=False)
    >>> result.passed
    True
    >>> print(result.table["what"][0])
    in adu, 8 electrons a step: pixel
    """
    from tqdm import tqdm

    if against is not None and against not in AGAINST:
        msg = f"against is {against!r}; expected one of {', '.join(AGAINST)}, or None."
        raise ValueError(msg)
    number = _cpus() if jobs is None else jobs
    if number < 1:
        msg = f"jobs is {jobs}; at least one process has to do the work."
        raise ValueError(msg)
    if seed < 0:
        msg = f"seed is {seed}; it must be zero or positive."
        raise ValueError(msg)
    trials = _chosen(steps)
    shares = [share for trial in trials for share in _shares(trial, quick, against, seed)]
    ours: dict[str, list[Sums]] = {}
    theirs: dict[str, list[Sums]] = {}
    total = sum(share.number for share in shares)
    with (
        closing(_done(shares, number)) as done,
        tqdm(total=total, desc="validating", unit="draw", disable=not progress) as bar,
    ):
        for share, (own, other) in zip(shares, done, strict=True):
            ours.setdefault(share.name, []).extend(own)
            theirs.setdefault(share.name, []).extend(other)
            bar.update(share.number)
    found = [Comparison.of(ours[_name(trial)]) for trial in trials]
    others = [Comparison.of(sums) if (sums := theirs[_name(trial)]) else None for trial in trials]
    return Validation(_table(trials, found, others if against else None, seed=seed, quick=quick))


class _Share(NamedTuple):
    """A part of the realisations of a trial, for one process."""

    name: str
    seed: int
    first: int
    number: int
    #: Realisations before this one are done with the other package, too.
    against: int


def _name(trial: Trial) -> str:
    return f"{trial.step}: {trial.what}"


def _known() -> dict[str, Trial]:
    from astro_calib.validation import trials

    return {_name(trial): trial for trial in trials.TRIALS}


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
        yield _Share(_name(trial), seed, first, min(size, total - first), other)


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
    """In a process that helps: say as much as the one that began it, and nothing where the result may go."""
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


def _cpus() -> int:
    """How many CPUs this process may use: a batch system gives fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _of_share(share: _Share) -> tuple[list[Sums], list[Sums]]:
    """The sums of each realisation, and those of the other package."""
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
    found: Sequence[Comparison],
    others: Sequence[Comparison | None] | None,
    *,
    seed: int,
    quick: bool,
) -> Table:
    from datetime import UTC, datetime
    from importlib.metadata import version

    from astropy.table import MaskedColumn, Table

    packages = ("astro-calib", "astropy", "numpy", *(AGAINST if others else ()))
    today = datetime.now(UTC).date().isoformat()
    versions = {name: version(name) for name in packages}
    table = Table(meta={"seed": seed, "quick": quick, "date": today, "versions": versions})
    table["step"] = [trial.step for trial in trials]
    table["what"] = [trial.what for trial in trials]
    for name in ("predicted", "observed", "ratio", "ratio_error"):
        table[name] = [getattr(one, name) for one in found]
    table["tolerance"] = [trial.tolerance for trial in trials]
    table["limit"] = [trial.limit for trial in trials]
    table["passed"] = [trial.passes(one, quick=quick) for trial, one in zip(trials, found, strict=True)]
    table["known"] = [trial.known(one, quick=quick) for trial, one in zip(trials, found, strict=True)]
    if others is not None:
        for name in ("predicted", "observed", "ratio", "ratio_error"):
            values = [np.nan if one is None else getattr(one, name) for one in others]
            table[f"ccdproc_{name}"] = MaskedColumn(values, mask=[one is None for one in others])
    return table


def within(row: Row) -> str:
    """Of a row of the table, what the ratio may be: within so much of 1, or for an upper limit at most so much."""
    return f"<= {1 + row['tolerance']:.2f}" if row["limit"] else f"{row['tolerance']:.2%}"


def _named(rows: Table) -> list[str]:
    return [f"{row['step']}, {row['what']}" for row in rows]


def _lines(table: Table) -> list[str]:
    """A line for each trial, under one that says what the columns are."""
    rows = [["", "step", "error of", "predicted", "observed", "ratio", "", "within"]]
    against = "ccdproc_ratio" in table.colnames
    if against:
        rows[0].append("ccdproc")
    for row in table:
        rows.append(
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
        )
        if against:
            rows[-1].append("" if row["ccdproc_ratio"] is np.ma.masked else f"{row['ccdproc_ratio']:.3f}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = 3
    return [
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
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
