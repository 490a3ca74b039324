"""The configuration: defaults, and what each option says."""

from __future__ import annotations

import os
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from confuse import Filename

from beetsplug.soundtags import taught
from beetsplug.soundtags.fields import INTERNAL
from beetsplug.soundtags.option_values import (
    checked,
    choice,
    count,
    count_or,
    either,
    entries,
    hint,
    is_amount,
    is_bool,
    is_label,
    is_names,
    is_share,
    path_of,
    refused,
)
from soundtags.models import catalogue, installed
from soundtags.models.settings import Settings
from soundtags.models.source import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Collection
    from logging import Logger

    from confuse import ConfigView

    from soundtags.inference.engine_choice import EngineChoice
    from soundtags.inference.verdicts import Verdicts
    from soundtags.models.plan import Plan

DEFAULTS: dict[str, Any] = {
    "auto": True,
    "models": "auto",
    "model_dir": "soundtags-models",
    "store": None,
    "source": DEFAULT_SOURCE,
    "genre": "fill",
    "placeholder_genres": ["Unknown", "Other", "Undefined", "None"],
    "file_tags": ["mood", "danceability", "voice_instrumental"],
    "engine": "auto",
    "jobs": "auto",
    "session_memory": "2GB",
    "cluster": None,
    "cluster_paths": {},
    "cluster_ship": False,
    **Settings()._asdict(),
}
# Former names of values to their present names.
FORMER_RESAMPLERS = {"soxr": "sinc"}

# Storing, writing tags and distributing work hold Python's lock for about a
# sixteenth of the time that a track takes, and each thread needs memory.
MOST_JOBS = 16
TRIALS = "soundtags-trials.json"
MANY_JOBS = 1000  # the most that the option accepts
SIZE = r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]?)B?"
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def auto(config: ConfigView) -> bool:
    """Return whether to analyse tracks when they are imported."""
    return bool(checked(config["auto"], "yes or no", is_bool))


def plan(
    config: ConfigView,
    logger: Logger,
    names: list[str] | None = None,
    without: Collection[str] = (),
) -> Plan:
    """Make the plan: which models run on which patches.

    Parameters
    ----------
    config : confuse.ConfigView
        The plugin's section of the configuration.
    logger : logging.Logger
        Gets a warning for each model that has to be left out.
    names : list of str, optional
        Ids of models to run instead of the configured ones.
    without : collection of str
        Ids of models to leave out without a warning.

    Returns
    -------
    Plan

    Raises
    ------
    confuse.ConfigError
        If a value is invalid.
    SoundtagsError
        If a requested model is not installed or cannot be used.
    """
    from soundtags.models.plan import make_plan
    from soundtags.models.taught_words import read_words, with_words

    warn = partial(_warn_once, logger)
    made = make_plan(
        names or models(config),
        model_dir(config),
        settings(config),
        warn,
        without,
        verdicts(config, logger).faults,
    )
    return with_words(made, read_words(taught.words_dir(), warn), warn)


@cache
def _warn_once(logger: Logger, message: str) -> None:
    """Warn only once, though plans are made anew when a model is left out."""
    logger.warning("{}", message)


def verdicts(config: ConfigView, logger: Logger) -> Verdicts:
    """Return the record of which models can be used, kept beside the cache."""
    from soundtags.inference.verdicts import Verdicts

    def announce(count: int) -> None:
        new = "1 new model" if count == 1 else f"{count} new models"
        logger.info("trying {} before their first use", new)

    return Verdicts(_trials(config), announce, engine_choice(config, logger))


def _trials(config: ConfigView) -> Path:
    return store(config).parent / TRIALS


def engine(config: ConfigView) -> str:
    """Return which engine runs models."""
    from soundtags.inference.engine_choice import ENGINES

    return choice(config["engine"], ENGINES)


def engine_choice(
    config: ConfigView, logger: Logger, brief: bool = False
) -> EngineChoice:
    """Return the engine that runs models; the same one for all of a run.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Receives a line that says why TensorFlow does not run models.
    brief
        Whether `auto` stands for NumPy, as loading TensorFlow does not pay.
    """
    from soundtags.inference.engine_choice import AUTO
    from soundtags.inference.numpy_engine import NumPy

    name = engine(config)
    if brief and name == AUTO:
        name = NumPy.name
    return _engine_choice(name, logger, _trials(config))


@cache
def _engine_choice(engine: str, logger: Logger, trials: Path) -> EngineChoice:
    from soundtags.inference.engine_choice import EngineChoice
    from soundtags.inference.tensorflow_check import LoadingCheck
    from soundtags.version import is_lite

    # Whoever installed the distribution without TensorFlow knows.
    say = logger.info if is_lite() else logger.warning
    return EngineChoice(engine, partial(say, "{}"), LoadingCheck(trials))


def settings(config: ConfigView) -> Settings:
    """Return the options that results depend on.

    Raises
    ------
    confuse.ConfigError
        If a value is invalid. The message names the option, the value and the
        values that are allowed.
    NoResampler
        If the resampler is not installed.
    """
    from soundtags.audio.resampling import RESAMPLERS, check_installed

    name = choice(config["resampler"], [*RESAMPLERS, *FORMER_RESAMPLERS])
    resampler = FORMER_RESAMPLERS.get(name, name)
    check_installed(resampler)
    return Settings(
        patches=count_or(config["patches"], "all", least=1),
        resampler=resampler,
        mood_threshold=checked(
            config["mood_threshold"], "a number from 0 to 1", is_share
        ),
        thresholds={
            name: checked(view, "a number of at least 0", is_amount)
            for name, view in entries(config["thresholds"])
        },
        genre_sources=_genre_sources(config),
        never_genres=config["never_genres"].as_str_seq(),
        labels={
            name: checked(view, "a name, or null to drop it", is_label)
            for name, view in entries(config["labels"])
        },
        max_moods=count(config["max_moods"]),
        max_genres=count(config["max_genres"]),
        max_tags=count(config["max_tags"]),
    )


def models(config: ConfigView) -> list[str] | None:
    """Return the ids of the models to run; None for the best installed."""
    value = config["models"].get()
    if value == "auto":
        return None
    names = value.split() if isinstance(value, str) else value
    if not is_names(names):
        raise refused(config["models"], value, "'auto' or a list of ids")
    return list(names)


def model_dir(config: ConfigView) -> Path:
    """Return the model folder, resolved against the configuration folder."""
    return path_of(config["model_dir"], Filename(in_app_dir=True))


def genre_policy(config: ConfigView) -> str:
    """Return what to do with ``genres``: fill, replace or never."""
    return choice(config["genre"], ("fill", "replace", "never"))


def placeholder_genres(config: ConfigView) -> frozenset[str]:
    """Return genres that count as none, in lower case."""
    names = config["placeholder_genres"].as_str_seq()
    return frozenset(name.strip().lower() for name in names)


def file_tags(config: ConfigView, types: Collection[str]) -> list[str]:
    """Return the fields to write to files; internal ones never are.

    The field of a word that has been forgotten is left out.
    """
    allowed = [n for n in types if n not in INTERNAL and n.isascii()]
    view = config["file_tags"]
    untaught = [n for n in view.as_str_seq() if taught.is_untaught(n, allowed)]
    known = [*allowed, *untaught]
    names = _several(view, known, "a field for file tags, such as mood")
    return [name for name in names if name in allowed]


def _genre_sources(config: ConfigView) -> list[str]:
    kinds = (catalogue.TEXT, catalogue.LIST, catalogue.STYLES)
    targets = installed.targets(model_dir(config)).values()
    names = [target.name for target in targets if target.kind in kinds]
    allowed = [catalogue.TAGS_FIELD, *names]
    return _several(config["genre_sources"], allowed, either(allowed))


def _several(
    view: ConfigView, allowed: Collection[str], what: str
) -> list[str]:
    names = view.as_str_seq()
    for name in names:
        if name not in allowed:
            raise refused(view, name, f"{what}{hint(name, allowed)}")
    return list(dict.fromkeys(names))


def jobs(config: ConfigView) -> int:
    """Return the number of worker threads."""
    found = count_or(config["jobs"], "auto", least=1, most=MANY_JOBS)
    return found or _auto_jobs()


def _auto_jobs() -> int:
    """Return one thread per available core, up to `MOST_JOBS`."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return min(cores, MOST_JOBS)


def session_memory(config: ConfigView) -> int:
    """Return how much memory open sessions may take, in bytes."""
    view = config["session_memory"]
    match = re.fullmatch(SIZE, str(view.get()))
    if match is None:
        raise refused(view, view.get(), "a size such as 500MB or 2GB")
    return int(float(match[1]) * UNITS[match[2]])


def store(config: ConfigView) -> Path:
    """Return the file of the cache, resolved against the library's folder.

    Each library has its own: ``soundtags.db`` beside ``library.db``, and
    ``jazz-soundtags.db`` beside ``jazz.db``.
    """
    library = Path(beets_config["library"].as_filename())
    if config["store"].get() is None:
        prefix = "" if library.stem == "library" else f"{library.stem}-"
        return library.with_name(f"{prefix}soundtags.db")
    return path_of(config["store"], Filename(cwd=str(library.parent)))


def cluster(config: ConfigView) -> str | None:
    """Return the address of a cluster's scheduler, or its scheduler file.

    None for this machine only. A relative path is resolved against the
    configuration folder.
    """
    view = config["cluster"]
    if view.get() is None:
        return None
    from soundtags.inference.dask import is_address

    value = str(view.as_str())
    return value if is_address(value) else str(view.as_filename())


def cluster_paths(config: ConfigView) -> dict[str, str]:
    """Return local folders, each with its path on a cluster's workers."""
    return {
        here: checked(view, "a folder", lambda value: isinstance(value, str))
        for here, view in entries(config["cluster_paths"])
    }


def cluster_ship(config: ConfigView) -> bool:
    """Return whether to send workers the files instead of their paths."""
    return bool(checked(config["cluster_ship"], "yes or no", is_bool))


def source(config: ConfigView) -> str:
    """Return where to download models from: a URL or a folder."""
    value = str(config["source"].as_str())
    if "://" in value:
        return value
    return str(config["source"].as_filename())
