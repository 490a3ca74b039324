"""All models at once: from a file to its labels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundtags.api.common import log, model_folder, naming, sessions, warn
from soundtags.inference.pipeline import predict_all
from soundtags.labelling.estimates import GENRES
from soundtags.labelling.interpret import interpret
from soundtags.models.catalogue import INPUT_FIELD, PLAN_FIELD, TAGS_FIELD
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.api.common import AnyPath, TextPath


@dataclass(frozen=True)
class TrackAnalysis:
    """The labels of a track, as returned by :func:`analyse`.

    Attributes
    ----------
    genres : list of str
        Genres, strongest first.
    moods : list of str
        Moods above the threshold, strongest first.
    tags : list of str
        The auto-taggers' tags, strongest first.
    scores : dict
        Field to score: probabilities from 0 to 1, such as ``danceability``,
        and the numbers of regression models.
    fields : dict
        All label fields, with the values that the plugin stores in the
        library, including class names such as that of ``voice_instrumental``;
        None where nothing can be said.
    predictions : dict
        Model id to class to mean activation.
    """

    genres: list[str]
    moods: list[str]
    tags: list[str]
    scores: dict[str, float]
    fields: dict[str, Any]
    predictions: dict[str, dict[str, float]]


def analyse(path: AnyPath, model_dir: TextPath | None = None) -> TrackAnalysis:
    """Label a track with all models, as the plugin does by default.

    For each target, the best installed model runs on 16 patches, evenly
    spaced over the track. Targets without a model are estimated from the
    auto-taggers' tags.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        A file in any format that libsndfile or FFmpeg can read.
    model_dir : str or os.PathLike, optional
        Folder with models besides those of the package.

    Returns
    -------
    TrackAnalysis
        Genres, moods, tags, scores, fields and predictions.

    Raises
    ------
    UnreadableAudio
        If the file does not exist, or contains no audio that can be decoded.
    BrokenModels
        If graphs in the folder cannot be run.

    Examples
    --------
    >>> import soundtags
    >>> track = soundtags.analyse("song.flac")
    >>> track.genres
    ['Electronic', 'Techno', 'House']
    """
    plan = make_plan(None, model_folder(model_dir), Settings(), log.warning)
    jobs = os.cpu_count() or 1
    tracks = [(path, os.fspath(path))]
    (result,) = predict_all(tracks, plan, sessions(), jobs)
    if result.error is not None:
        with naming(path):
            raise result.error
    assert result.predictions is not None  # since there is no error
    warn(path, result.warning)
    found = interpret(result.predictions, plan)
    return _track_analysis(found.fields, found.model_means)


def _track_analysis(
    fields: Mapping[str, Any], predictions: dict[str, dict[str, float]]
) -> TrackAnalysis:
    values = {
        name: value
        for name, value in fields.items()
        if name not in (PLAN_FIELD, INPUT_FIELD)
    }
    return TrackAnalysis(
        genres=values.get(GENRES) or [],
        moods=values.get("mood") or [],
        tags=values.get(TAGS_FIELD) or [],
        scores={k: v for k, v in values.items() if isinstance(v, float)},
        fields=values,
        predictions=predictions,
    )
