"""The plan: which models answer which targets, from which patches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from soundtags.audio.features import FeatureSpec
from soundtags.audio.patches import FRONT_ENDS
from soundtags.errors import SoundtagsError, UnknownModel, UnusableModel
from soundtags.models import catalogue, installed

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from soundtags.models.catalogue import Target
    from soundtags.models.installed import Model
    from soundtags.models.settings import Settings
    from soundtags.models.taught_words import TaughtWord

    FindFaults = Callable[
        [Collection[Model], Mapping[str, Model]], Mapping[str, UnusableModel]
    ]

# Increase this when the same plan gives other numbers than before.
REVISION = 3
# Increase this when a model gives other activations for the same patches.
ACTIVATIONS = 1


@dataclass(frozen=True)
class Plan:
    """Everything that the analysis of a file depends on, besides the file.

    Attributes
    ----------
    models
        Models whose activations are wanted.
    backbones
        Models whose embeddings the heads among `models` start from.
    settings
        The options that affect results.
    targets
        The fields that the models and words fill, by name.
    words
        Words that the user has taught.
    """

    models: tuple[Model, ...]
    backbones: tuple[Model, ...]
    settings: Settings
    targets: Mapping[str, Target] = field(hash=False)
    words: tuple[TaughtWord, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Short digest; a track with a different one is stale."""
        used = sorted(
            (model.id, model.sha256, model.metadata.classes)
            for model in {*self.models, *self.backbones}
        )
        content = [
            REVISION,
            used,
            sorted(model.id for model in self.models),
            self.settings._asdict(),
            catalogue.estimates_digest(),
            *sorted(word.digest for word in self.words),
        ]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def fed(self) -> list[Model]:
        """The models that patches are fed to, each once."""
        own = [model for model in self.models if not model.metadata.backbone]
        return list(dict.fromkeys([*own, *self.backbones]))

    @property
    def front_ends(self) -> set[str]:
        """The front ends whose patches are needed."""
        return {model.metadata.algorithm for model in self.fed}

    @property
    def feature_spec(self) -> FeatureSpec:
        """The features that the models take."""
        return FeatureSpec(
            self.front_ends, self.settings.patches, self.settings.resampler
        )

    @cached_property
    def front_end_of(self) -> dict[str, str]:
        """The front end of each model, or of a head's backbone, by id."""
        return {
            model.id: fed.metadata.algorithm
            for fed in self.fed
            for model in (fed, *self.heads(fed))
        }

    def identity(self, model: Model) -> str:
        """Return a name to identify a model's outputs for given patches."""
        backbones = [
            backbone.sha256
            for backbone in self.backbones
            if backbone.id == model.metadata.backbone
        ]
        files = json.dumps([ACTIVATIONS, model.sha256, backbones])
        return f"{model.id} {hashlib.sha256(files.encode()).hexdigest()[:12]}"

    def only(self, names: Collection[str]) -> Plan:
        """Return a plan for some of the models alone."""
        models = tuple(each for each in self.models if each.id in names)
        needed = {each.metadata.backbone for each in models}
        backbones = tuple(b for b in self.backbones if b.id in needed)
        return replace(self, models=models, backbones=backbones)

    def heads(self, backbone: Model) -> list[Model]:
        """Return the models that start from a backbone's embedding."""
        return [
            model
            for model in self.models
            if model.metadata.backbone == backbone.id
        ]


def make_plan(
    names: Iterable[str] | None,
    folder: Path,
    settings: Settings,
    warn: Callable[[str], None],
    without: Collection[str] = (),
    find_faults: FindFaults = lambda _models, _here: {},
) -> Plan:
    """Choose models and settle the plan.

    Parameters
    ----------
    names
        Ids or aliases of models to run; None to run the best installed model
        for every target.
    folder
        The user's model folder.
    settings
        The options that affect results.
    warn
        Told of each installed model that had to be left out, and of a model
        folder that is not a folder.
    without
        Ids of models to leave out without a warning.
    find_faults
        Finds models that cannot be run, among some of those at hand; see
        :meth:`soundtags.inference.verdicts.Verdicts.faults`.

    Raises
    ------
    UnknownModel
        If a named model, or the backbone a head needs, is not installed.
    UnusableModel
        If a named model cannot be run.
    """
    if no_folder := installed.folder_fault(folder):
        warn(no_folder)
    targets = installed.targets(folder)
    if names is None:
        read = _readable(folder, without, warn)
        here = _sound(read, targets, warn, find_faults)
        models = _best(_predicting(here), targets)
    else:
        here = {model.id: model for model in installed.find(names, folder)}
        models = list(here.values())
        needed = {m.metadata.backbone for m in models if m.metadata.backbone}
        for backbone in installed.find(sorted(needed - here.keys()), folder):
            here[backbone.id] = backbone
        for model in models:
            check(model, here, targets)
        for fault in find_faults(models, here).values():
            raise fault
    backbones = dict.fromkeys(
        here[model.metadata.backbone]
        for model in models
        if model.metadata.backbone
    )
    return Plan(tuple(models), tuple(backbones), settings, targets)


def check(
    model: Model, here: Mapping[str, Model], targets: Mapping[str, Target]
) -> None:
    """Check that a model can be run, as far as its metadata tells.

    Parameters
    ----------
    model
        The model.
    here
        All models at hand, by id.
    targets
        All targets by name.

    Raises
    ------
    UnknownModel
        If it is a head whose backbone is not at hand.
    UnusableModel
        If it has no classes, its front end is not supported, its backbone
        gives no embedding, its fields are taken, or another model gives its
        target other classes.
    """
    if not model.metadata.classes or not model.metadata.predictions:
        raise UnusableModel(
            f"{model.id}: predicts nothing by itself; use a head of it instead"
        )
    if model.target not in targets:
        raise UnusableModel(
            f"{model.id}: its results would be stored in fields that are taken;"
            " rename it"
        )
    others = targets[str(model.target)].classes
    if set(others) != set(model.metadata.classes):
        raise UnusableModel(
            f"{model.id}: another model gives {model.target} other classes;"
            " rename one of the two"
        )
    check_input(model, here)


def check_input(model: Model, here: Mapping[str, Model]) -> None:
    """Check that there is something to feed a model with.

    Parameters and errors are those of :func:`check`.
    """
    facts = model.metadata
    if facts.backbone is None:
        if facts.algorithm not in FRONT_ENDS:
            raise UnusableModel(
                f"{model.id}: needs the front end {facts.algorithm}, which is"
                " not supported"
            )
    elif facts.backbone not in here:
        raise UnknownModel(
            f"{model.id}: needs {facts.backbone}, which is not installed; get"
            f" it: beet soundmodels fetch {facts.backbone}"
        )
    else:
        backbone = here[facts.backbone].metadata
        if not backbone.embedding or backbone.algorithm not in FRONT_ENDS:
            raise UnusableModel(
                f"{model.id}: needs {facts.backbone}, which gives no embedding"
            )


def _readable(
    folder: Path, without: Collection[str], warn: Callable[[str], None]
) -> list[Model]:
    """Read all installed models that can be read, embedded ones first."""
    found = []
    for graph in installed.all_graphs(folder):
        try:
            if graph.stem not in without:
                found.append(installed.read_model(graph))
        except UnusableModel as exc:
            warn(f"left out: {exc}")
    return found


def _sound(
    models: Sequence[Model],
    targets: Mapping[str, Target],
    warn: Callable[[str], None],
    find_faults: FindFaults,
) -> dict[str, Model]:
    """Return those of some models that can be run, by id.

    Of two with the same id, the later one counts, unless it cannot be run.
    """
    here = {model.id: model for model in models}
    faults = _faults(here, targets)
    rest = [m for m in _predicting(here) if m.id not in faults]
    faults |= find_faults(rest, here)
    for fault in faults.values():
        warn(f"left out: {fault}")
    return {
        model.id: model
        for model in models
        if model.id not in faults or model is not here[model.id]
    }


def _faults(
    here: Mapping[str, Model], targets: Mapping[str, Target]
) -> dict[str, SoundtagsError]:
    """Find the models that cannot be run, as far as their metadata tells."""
    faults: dict[str, SoundtagsError] = {}
    for model in _predicting(here):
        try:
            check(model, here, targets)
        except (UnknownModel, UnusableModel) as exc:
            faults[model.id] = exc
    return faults


def _predicting(here: Mapping[str, Model]) -> list[Model]:
    """Return the models that predict something."""
    return [model for model in here.values() if model.metadata.classes]


def _best(
    models: Iterable[Model], targets: Mapping[str, Target]
) -> list[Model]:
    """Keep one model per target: heads win, then higher published figures.

    Models that estimates outdo are not kept.
    """

    def merit(model: Model) -> tuple[bool, float, str]:
        figures = [figure for _, figure in model.metadata.metrics] or [0.0]
        mean = sum(figures) / len(figures)
        return bool(model.metadata.backbone), mean, model.id

    best = {
        str(model.target): model
        for model in sorted(models, key=merit)
        if model.id not in targets[str(model.target)].outdone
    }
    return list(best.values())
