"""The command `beet soundfeatures`."""

from __future__ import annotations

import os
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import config as beets_config
from beets.exceptions import UserError
from beets.util import displayable_path, syspath

from beetsplug.soundtags import configuration
from beetsplug.soundtags.commands.showing import say, tracks
from soundtags.atomic import writing
from soundtags.errors import UnreadableAudio
from soundtags.inference.executor import file_predictor
from soundtags.inference.latent_features import find_layer
from soundtags.inference.trial import Candidate
from soundtags.stderr import silence_stderr

if TYPE_CHECKING:
    from collections.abc import Callable
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

    from soundtags.types import Path as Track

    LayerValues = Callable[[Track], tuple[np.ndarray, np.ndarray]]


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If nothing could be exported.
    """
    if not opts.output:
        raise UserError("name the file to write: -o FILE")
    items = lib.items(query)
    if not items:
        raise UserError("no track matches")
    layer = find_layer(opts.model, opts.layer, configuration.model_dir(config))
    with (
        silence_stderr(log, beets_config["verbose"].get(int) < 2),
        file_predictor(
            configuration.jobs(config),
            configuration.session_memory(config),
            configuration.engine_choice(config, log),
        ) as predictor,
    ):
        values_of = partial(
            layer.values,
            settings=configuration.settings(config),
            predictor=predictor,
        )
        candidate = Candidate(layer.model, (layer.node,), layer.backbone)
        verdicts = configuration.verdicts(config, log)
        for fault in verdicts.judge([candidate]).values():
            raise fault
        done = export(items, values_of, opts, log)
    say(f"{tracks(done)}, {layer.model.id} {layer.node}: {opts.output}")


def export(items: Any, values_of: LayerValues, opts: Values, log: Any) -> int:
    """Write the features of items to a file; return how many items.

    The file appears when it is complete. Its arrays are ``ids`` and
    ``paths`` (of the items, in the same order), and for each item
    ``features/ID``, of shape (patches, ...), and ``times/ID``, the seconds at
    which the patches begin.
    """
    target = Path(opts.output).expanduser()
    done: list[Item] = []
    with writing(target) as file, zipfile.ZipFile(file, "w") as archive:
        for item in items:
            try:
                _add(archive, item, values_of, opts.mean)
            except UnreadableAudio as exc:
                log.error("{}: {}", displayable_path(item.path), exc)
            else:
                done.append(item)
        if not done:
            raise UserError("no track could be analysed")
        paths = [os.fsdecode(item.path) for item in done]
        _write(archive, "ids", np.array([item.id for item in done]))
        _write(archive, "paths", np.array(paths))
    return len(done)


def _add(
    archive: zipfile.ZipFile, item: Item, values_of: LayerValues, mean: bool
) -> None:
    values, times = values_of(syspath(item.path))
    if mean:
        values, times = values.mean(axis=0, keepdims=True), times[:1]
    _write(archive, f"features/{item.id}", values)
    _write(archive, f"times/{item.id}", times)


def _write(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)
