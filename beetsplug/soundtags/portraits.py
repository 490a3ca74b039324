"""Files to portraits: what the models make of a track as it goes on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .activations import activations, job
from .analysis import conclude
from .catalogue import TAGS
from .features import Wanted, features
from .hearing import hear
from .labels import Names, strongest
from .patches import FRONT_ENDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .analysis import Analysis
    from .decoding import Path
    from .features import Reading
    from .hearing import Said
    from .installed import Model
    from .latent import Layer
    from .plan import Plan
    from .sessions import SessionPool, Spread

# Every patch of half an hour. Of what is longer, so many are spread evenly: a
# picture has no room for more.
PATCHES = 1200


@dataclass(frozen=True)
class Portrait:
    """What the models make of a track.

    Attributes
    ----------
    analysis
        What is said of the track as a whole.
    times
        The seconds at which patches begin, shape (patches,).
    extent
        Seconds that a patch lasts.
    tags
        The auto-taggers' tags, strongest first: name to activations of shape
        (patches,).
    latent
        Values of the layer, shape (patches, size).
    layer
        The model and the layer.
    """

    analysis: Analysis
    times: np.ndarray
    extent: float
    tags: Mapping[str, np.ndarray]
    latent: np.ndarray
    layer: str


def portray(
    path: Path,
    plan: Plan,
    layer: Layer,
    pool: SessionPool,
    spread: Spread = map,
    reading: Reading = features,
) -> Portrait:
    """Let the models listen to every patch of a file, within reason.

    Parameters
    ----------
    path
        An audio file.
    plan
        Which models run; its number of patches is not for portraits.
    layer
        The latent features, of an auto-tagger. Its tags are shown where the
        plan has no auto-tagger.
    pool
        Where sessions come from.
    spread
        Makes the single calls; see :meth:`sessions.SessionPool.run`.
    reading
        How the file is read: here, or elsewhere.

    Raises
    ------
    UnreadableAudio
        If there is no audio in the file.
    UnusableModel
        If a graph cannot be run.
    """
    listener, kind = layer.model, layer.model.metadata.algorithm
    both = job(listener, str(listener.metadata.predictions), layer.node)
    wanted = Wanted({*plan.front_ends, kind}, PATCHES, plan.settings.resampler)
    said: list[Said] = []
    times, latent = [], []
    for portion in reading(path, wanted, lambda: False):
        (found,) = activations([portion.patches], plan, pool, spread)
        # A portion can be without patches of one of several front ends.
        if kind in portion.patches:
            tags, values = pool.run(
                both, portion.patches[kind], spread
            ).values()
            found.activations[listener.id] = tags
            latent.append(values)
            times.append(portion.times[kind])
        said.append(found)
    heard_by = dict.fromkeys(n for each in said for n in each.activations)
    results = {
        name: np.concatenate(
            [
                each.activations[name]
                for each in said
                if name in each.activations
            ]
        )
        for name in heard_by
    }
    return Portrait(
        analysis=conclude(hear(said, portion), plan),
        times=np.concatenate(times),
        extent=FRONT_ENDS[kind].frames / FRONT_ENDS[kind].frame_rate,
        tags=_tags(results, plan, listener),
        latent=np.concatenate(latent),
        layer=f"{listener.id}, {layer.node}",
    )


def _tags(
    results: Mapping[str, np.ndarray], plan: Plan, listener: Model
) -> dict[str, np.ndarray]:
    """Return the tags over time, pooled and named as the field with them is."""
    taggers: dict[str | None, list[Model]] = defaultdict(list)
    for model in plan.models:
        if plan.targets[str(model.target)].kind == TAGS:
            taggers[model.target].append(model)
    pooled: dict[str, np.ndarray] = {}
    for target, models in (taggers or {listener.target: [listener]}).items():
        for tag, readable in plan.targets[str(target)].classes.items():
            rows = np.mean(
                [
                    results[model.id][:, model.metadata.classes.index(tag)]
                    for model in models
                ],
                axis=0,
            )
            others = pooled.get(readable)
            if others is None or rows.mean() > others.mean():
                pooled[readable] = rows
    names = Names(plan.settings)
    tags: dict[str, np.ndarray] = {}
    for readable in strongest({n: float(r.mean()) for n, r in pooled.items()}):
        word = names.of(readable)
        if word:
            tags.setdefault(word, pooled[readable])
    return tags
