"""Which models run on which patches: plain data, and its digest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from . import catalogue
from .errors import UnknownModel, UnusableModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .catalogue import Model

# Raise it when the same plan gives other numbers than before.
REVISION = 1


@dataclass(frozen=True)
class Settings:
    """What decides about results beside the models.

    Attributes
    ----------
    patches
        At most so many patches per track; None for all.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    mood_threshold
        Score from which a mood holds.
    max_moods, max_genres, max_tags
        Lengths of the lists.
    """

    patches: int | None = 32
    resampler: str = "soxr"
    mood_threshold: float = 0.5
    max_moods: int = 5
    max_genres: int = 3
    max_tags: int = 5


@dataclass(frozen=True)
class Plan:
    """All that the analysis of a file depends on, besides the file.

    Attributes
    ----------
    models
        Those whose activations are wanted.
    backbones
        Those whose embeddings heads among the models start from.
    settings
        The rest.
    """

    models: tuple[Model, ...]
    backbones: tuple[Model, ...]
    settings: Settings

    @cached_property
    def digest(self) -> str:
        """Short digest: a track with another one is stale."""
        used = sorted(
            (model.id, model.sha256)
            for model in {*self.models, *self.backbones}
        )
        content = [
            REVISION,
            used,
            sorted(model.id for model in self.models),
            asdict(self.settings),
            catalogue.rules_digest(),
        ]
        return catalogue.sha256(json.dumps(content).encode())[:12]


def make_plan(
    names: Iterable[str] | None,
    folder: Path,
    settings: Settings,
    warn: Callable[[str], None],
) -> Plan:
    """Choose models and settle the plan.

    Parameters
    ----------
    names
        Ids or aliases of models to run; None to run, for every target, the
        best of what is installed.
    folder
        The user's model folder.
    settings
        The rest of the plan.
    warn
        Told of each installed model that had to be left out.

    Raises
    ------
    UnknownModel
        If a named model, or the backbone a head needs, is not installed.
    UnusableModel
        If a named model cannot be run.
    """
    if names is None:
        models = _best(_readable(folder, warn))
    else:
        models = catalogue.find(dict.fromkeys(names), folder)
    backbones = catalogue.find(
        dict.fromkeys(m.backbone for m in models if m.backbone), folder
    )
    return Plan(tuple(models), tuple(backbones), settings)


def _readable(folder: Path, warn: Callable[[str], None]) -> list[Model]:
    """Read all installed models but those we cannot run."""
    graphs = catalogue.installed(folder)
    models = []
    for graph in graphs.values():
        try:
            model = catalogue.read_model(graph)
            if model.backbone and model.backbone not in graphs:
                raise UnknownModel(
                    f"{model.id}: needs {model.backbone}, which is not here"
                )
        except (UnknownModel, UnusableModel) as exc:
            warn(str(exc))
        else:
            models.append(model)
    return models


def _best(models: Iterable[Model]) -> list[Model]:
    """Keep one model per target: heads first, then the published figures."""

    def merit(model: Model) -> tuple[bool, tuple[float, ...], str]:
        return bool(model.backbone), model.metrics, model.id

    best: dict[str, Model] = {}
    for model in sorted(models, key=merit):
        best[model.target] = model
    return list(best.values())
