"""Print the tables of published figures that are in models.rst."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

CATALOGUE = Path(__file__).parent.parent / "models" / "catalogue.json"
HEADS = ("msd-musicnn", "audioset-vggish", "discogs-effnet")
WHOLE = ("musicnn-msd", "musicnn-mtt", "vggish-audioset")
ACCURACY = (
    "5-fold_cross_validation_normalized_accuracy",
    "test normalized accuracy",
)
NONE = r"\-"

FIGURES = ("ROC-AUC", "PR-AUC", "arousal", "valence")

Cells = dict[str, str]  # heading to text


def accuracies(
    models: dict[str, Any], families: Sequence[str]
) -> dict[str, Cells]:
    """Return the accuracy of each family's model, per target."""
    found: dict[str, Cells] = {}
    for model in models.values():
        for name, value in model["metadata"]["metrics"].items():
            if name in ACCURACY and model["family"] in families:
                cells = found.setdefault(model["target"], {})
                cells[model["family"]] = f"{value:.2f}"
    return found


def others(models: dict[str, Any]) -> dict[str, Cells]:
    """Return the figures of other kinds, per model."""
    found: dict[str, Cells] = {}
    for model, facts in models.items():
        for name, value in facts["metadata"]["metrics"].items():
            figure = name.removeprefix("test ")
            if figure in FIGURES:
                found.setdefault(model, {})[figure] = f"{value:.2f}"
    return found


def table(first: str, headings: Sequence[str], rows: dict[str, Cells]) -> str:
    """Return a simple table in reStructuredText."""
    lines = [
        [first, *headings],
        *(
            [f"``{name}``", *(cells.get(each, NONE) for each in headings)]
            for name, cells in rows.items()
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = " ".join("=" * width for width in widths)
    heading, *body = (
        " ".join(cell.ljust(width) for cell, width in zip(line, widths))
        for line in lines
    )
    return "\n".join(map(str.rstrip, [rule, heading, rule, *body, rule]))


def main() -> None:
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    for families in (HEADS, WHOLE):
        print(table("Target", families, accuracies(models, families)))
        print()
    print(table("Model", FIGURES, others(models)))


if __name__ == "__main__":
    main()
