"""
Make the tables of the page on validation.

Run from the checkout, after `astro-calib validate --against ccdproc -o docs/validation.ecsv --overwrite`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table

from astro_calib.validation import shot_noise_bias
from astro_calib.validation.judge import within

DOCS = Path(__file__).parent
MODELS = ("data", "smooth", "array")


def csv_table(heading: list[str], rows: list[list[str]], widths: str = "auto") -> str:
    """A table of reStructuredText, a line for each row."""
    lines = [".. csv-table::", "   :class: dense", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [heading, *rows]:
        cells = ('"{}"'.format(cell.replace('"', '""')) if set(cell) & set(',"') else cell for cell in row)
        lines.append(f"   {', '.join(cells)}".rstrip())
    return "\n".join(lines) + "\n"


def number(value: float, form: str) -> str:
    """A number, or nothing where there is none."""
    return "" if np.ma.is_masked(value) else format(value, form)


def trials(table: Table) -> str:
    """The trials, a section for each step."""
    heading = ["error of", "predicted", "observed", "ratio", "within", "ccdproc predicts", "ccdproc ratio"]
    parts = []
    for step in dict.fromkeys(table["step"]):
        rows = [
            [
                row["what"],
                f"{row['predicted']:.4g}",
                f"{row['observed']:.4g}",
                f"{row['ratio']:.4f} ± {row['ratio_error']:.4f}",
                within(row),
                number(row["ccdproc_predicted"], ".4g"),
                number(row["ccdproc_ratio"], ".3f"),
            ]
            for row in table[table["step"] == step]
        ]
        title = step.capitalize()
        parts.append(f"{title}\n{'~' * len(title)}\n\n{csv_table(heading, rows, '40 10 10 16 8 8 8')}")
    return "\n".join(parts)


def shot_noise(table: Table) -> str:
    """The bias of the variance in per cent, a row for each read noise and sky, a column for each model."""
    rows = []
    for one in table[table["model"] == MODELS[0]]:
        same = (table["read_noise"] == one["read_noise"]) & (table["sky"] == one["sky"])
        cells = [table[same & (table["model"] == model)][0] for model in MODELS]
        # Plus zero: what is rounded to nothing has no sign.
        biases = [f"{round(100 * (row['ratio'] - 1), 2) + 0.0:.2f} ± {100 * row['ratio_error']:.2f}" for row in cells]
        rows.append([f"{one['read_noise']:g}", f"{one['sky']:g}", *biases])
    return csv_table(["read noise", "sky", *(f'``"{model}"``' for model in MODELS)], rows)


def versions(table: Table) -> str:
    """With what the tables were made."""
    names = [f"{name} {version}" for name, version in table.meta["versions"].items()]
    largest = np.max(3 * table["ratio_error"] / table["tolerance"])
    return (
        f"The tables below were made with {', '.join(names)}, and seed {table.meta['seed']}, on "
        f"{table.meta['date']}: {len(table)} trials, of which {np.count_nonzero(table['passed'])} passed. No ratio has "
        f"a standard error of more than {largest / 3:.2f} of its tolerance.\n"
    )


def main() -> None:
    """Write the parts that the page includes."""
    table = Table.read(DOCS / "validation.ecsv")
    (DOCS / "validation_versions.inc").write_text(versions(table), encoding="utf-8")
    (DOCS / "validation_trials.inc").write_text(trials(table), encoding="utf-8")
    (DOCS / "validation_shot_noise.inc").write_text(shot_noise(shot_noise_bias()), encoding="utf-8")


if __name__ == "__main__":
    main()
