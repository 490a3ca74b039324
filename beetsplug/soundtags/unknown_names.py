"""Finds names in the configuration that nothing has, such as misspelt ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beetsplug.soundtags import configuration, taught
from beetsplug.soundtags.fields import item_types
from beetsplug.soundtags.option_values import entries, hint
from soundtags.models import catalogue
from soundtags.models.catalogue import SPLIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confuse import ConfigView

    from soundtags.models.catalogue import Target


def complaints(config: ConfigView) -> list[str]:
    """Return a message for each unknown option, word and label.

    Parameters
    ----------
    config : confuse.ConfigView
        The plugin's section of the configuration.

    Raises
    ------
    confuse.ConfigError
        If options that have names in them have other values.
    """
    options = configuration.DEFAULTS
    targets = taught.all_targets(configuration.model_dir(config)).values()
    types = item_types(targets)
    labels = _labels(targets)
    found = [
        f"{config[name].name}: unknown option{hint(name, options)}"
        for name in config.keys() - options.keys()
    ]
    found += [
        f"{config['file_tags'].name}: {reason}"
        for name in config["file_tags"].as_str_seq()
        if (reason := taught.why_unwritten(name, types))
    ]
    found += [
        f"{config[option].name}: no mood, genre or tag is called {name!r}"
        + hint(name.lower(), labels)
        for option, names in _label_names(config).items()
        for name in names
        if name.lower() not in labels
    ]
    return sorted(found)


def _label_names(config: ConfigView) -> dict[str, list[str]]:
    """Return the options that name labels, with the names in each."""
    return {
        "thresholds": [name for name, _ in entries(config["thresholds"])],
        "labels": [name for name, _ in entries(config["labels"])],
        "never_genres": config["never_genres"].as_str_seq(),
    }


def _labels(targets: Iterable[Target]) -> set[str]:
    """Return all that can be a label before it is renamed, in lower case."""
    names = {*catalogue.estimates()["genres"]}
    for target in targets:
        if target.mood:
            names.add(target.mood)
        for name in target.classes.values():
            names.update([name, *name.split(SPLIT)])
    return {name.lower() for name in names}
