"""Track profiles: what the models predict over the course of a track."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.audio.features import FeatureSpec
from soundtags.audio.patches import FRONT_ENDS
from soundtags.inference.pooling import pool_outputs
from soundtags.inference.predict import plan_nodes
from soundtags.labelling.interpret import interpret
from soundtags.labelling.labels import Vocabulary
from soundtags.labelling.scores import strongest
from soundtags.models.catalogue import TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundtags.inference.latent_features import Layer
    from soundtags.inference.predict import FilePredictor, ModelOutputs
    from soundtags.labelling.interpret import Interpretation
    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan
    from soundtags.types import Path

# All patches of half an hour. Of a longer track, this many are taken, evenly
# spread, as a picture has no room for more.
PATCHES = 1200


@dataclass(frozen=True)
class TrackProfile:
    """What the models predict over the course of a track.

    Attributes
    ----------
    analysis : Interpretation
        The labels of the whole track.
    times : numpy.ndarray
        Shape (patches,), float64: where patches begin, in seconds.
    extent : float
        Duration of a patch in seconds.
    tags : mapping of str to numpy.ndarray
        Tag of the auto-taggers, in the user's words, to activations of shape
        (patches,); the strongest first.
    latent : numpy.ndarray
        Shape (patches, units), float32: values of the layer.
    layer : str
        Names of the model and the layer.
    """

    analysis: Interpretation
    times: np.ndarray
    extent: float
    tags: Mapping[str, np.ndarray]
    latent: np.ndarray
    layer: str


def profile_track(
    path: Path, plan: Plan, layer: Layer, predictor: FilePredictor
) -> TrackProfile:
    """Run models over every patch of a file, up to :data:`PATCHES`.

    Parameters
    ----------
    path : str or path
        An audio file.
    plan : Plan
        Which models run; its number of patches does not apply.
    layer : Layer
        A layer of an auto-tagger. The tags of that model are shown if the
        plan has no auto-tagger.
    predictor : FilePredictor
        Reads the file and runs the models.

    Returns
    -------
    TrackProfile

    Raises
    ------
    UnreadableAudio
        If there is no audio in the file.
    UnusableModel
        If a graph cannot be loaded or run.

    References
    ----------
    Pons, J. and Serra, X., "musicnn: Pre-trained convolutional neural
    networks for music audio tagging", ISMIR Late-Breaking/Demo, 2019, which
    calls the tags over time a taggram.
    """
    front_end, model = layer.front_end, layer.model
    spec = FeatureSpec(
        {*plan.front_ends, front_end}, PATCHES, plan.settings.resampler
    )
    outputs, times = [], []
    for chunk, computed in predictor.predict(path, spec, _nodes(plan, layer)):
        outputs.append(computed)
        # A chunk may lack the patches of one of several front ends.
        if front_end in chunk.patches:
            times.append(chunk.times[front_end])
    latent = [
        each.values[model.id][layer.node] for each in outputs if model in each
    ]
    kind = FRONT_ENDS[front_end]
    return TrackProfile(
        analysis=interpret(pool_outputs(outputs, chunk, plan), plan),
        times=np.concatenate(times),
        extent=kind.frames / kind.frame_rate,
        tags=_tags(outputs, plan, model),
        latent=np.concatenate(latent),
        layer=f"{model.id}, {layer.node}",
    )


def _nodes(plan: Plan, layer: Layer) -> dict[Model, tuple[str, ...]]:
    """Return the nodes of a plan and a layer, with the tags of its model."""
    nodes = plan_nodes(plan)
    tags = {layer.model: (str(layer.model.metadata.predictions),)}
    for more in (tags, layer.nodes):
        for model, names in more.items():
            nodes[model] = tuple(dict.fromkeys([*nodes.get(model, ()), *names]))
    return nodes


def _tags(
    outputs: Sequence[ModelOutputs], plan: Plan, default: Model
) -> dict[str, np.ndarray]:
    """Return the tags over time, ordered and named as in fields."""
    pooled: dict[str, np.ndarray] = {}
    for target, models in _taggers(plan, default).items():
        activations = [_over_time(outputs, model) for model in models]
        for tag, readable in plan.targets[target].classes.items():
            rows = np.mean(
                [
                    values[:, model.metadata.classes.index(tag)]
                    for model, values in zip(models, activations)
                ],
                axis=0,
            )
            others = pooled.get(readable)
            if others is None or rows.mean() > others.mean():
                pooled[readable] = rows
    names = Vocabulary(plan.settings)
    tags: dict[str, np.ndarray] = {}
    for readable in strongest({n: float(r.mean()) for n, r in pooled.items()}):
        word = names.of(readable)
        if word:
            tags.setdefault(word, pooled[readable])
    return tags


def _taggers(plan: Plan, default: Model) -> dict[str, list[Model]]:
    """Return the auto-taggers of a plan by target, or else the default."""
    taggers: dict[str, list[Model]] = defaultdict(list)
    for model in plan.models:
        if plan.targets[str(model.target)].kind == TAGS:
            taggers[str(model.target)].append(model)
    return taggers or {str(default.target): [default]}


def _over_time(outputs: Iterable[ModelOutputs], model: Model) -> np.ndarray:
    return np.concatenate(
        [each.activations(model) for each in outputs if model in each]
    )
