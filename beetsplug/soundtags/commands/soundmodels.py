"""The command `beet soundmodels`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from beets import ui
from beets.exceptions import UserError
from rich.filesize import decimal

from beetsplug.soundtags import configuration
from beetsplug.soundtags.commands.model_listing import (
    progress_bar,
    readable,
    table,
)
from beetsplug.soundtags.commands.showing import say
from soundtags.errors import (
    SoundtagsError,
    UnknownModel,
    UnreachableHost,
    UnusableModel,
    UnwritableFolder,
)
from soundtags.models import catalogue, checksums, installed
from soundtags.models.download import fetch
from soundtags.models.folder_lock import locked
from soundtags.models.source import (
    check_source,
    without_password,
)
from soundtags.version import PACKAGE, package_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from optparse import Values
    from pathlib import Path

    from beets.library import Library
    from confuse import ConfigView

    from soundtags.models.catalogue import Published
    from soundtags.models.metadata import Metadata

LICENCE = """\
The models that are fetched now are by the Music Technology Group, Universitat
Pompeu Fabra (https://essentia.upf.edu/models.html), under CC BY-NC-SA 4.0:
free for non-commercial use (https://creativecommons.org/licenses/by-nc-sa/4.0/)
"""


def run(
    _lib: Library, config: ConfigView, log: Any, opts: Values, args: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If something that was asked for could not be done.
    """
    action, *names = args or ["list"]
    if action not in ACTIONS:
        raise UserError(f"{action} is not one of: {', '.join(ACTIONS)}")
    command = ModelsCommand(
        configuration.model_dir(config), configuration.source(config), opts, log
    )
    ACTIONS[action](command, names)


@dataclass(frozen=True)
class ModelsCommand:
    """The model folder, and where its models come from."""

    folder: Path
    source: str
    opts: Values
    log: Any

    def list_models(self, names: list[str]) -> None:
        """List models, all or those of some groups."""
        chosen = catalogue.resolve(names)
        entries = [
            facts
            for facts in self._all_facts()
            if (not names or facts["id"] in chosen)
            and (facts["state"] or not self.opts.installed)
        ]
        if self.opts.json:
            ui.print_(json.dumps(entries, indent=1))
        else:
            for line in table(entries):
                say(line)
            say(f"{PACKAGE} {package_version()}")

    def info(self, names: list[str]) -> None:
        """Print all that is known about some models."""
        facts = {entry["id"]: entry for entry in self._all_facts()}
        for name in _needed(names, "an ID"):
            for each in [name] if name in facts else catalogue.resolve([name]):
                for key, value in facts[each].items():
                    say(f"{key}: {readable(value)}")

    def fetch(self, names: list[str]) -> None:
        """Fetch models and the backbones that they need."""
        asked = catalogue.resolve(_needed(names, "an ID or GROUP"))
        missing = []
        for model in catalogue.with_backbones(asked):
            here = self._here(model)
            if here is None:
                missing.append(model)
            elif model.id not in asked:
                continue
            elif installed.is_embedded(here):
                say(f"{model.id}: comes with the package")
            else:
                say(f"{model.id}: is here already")
        if any(model.licence != "ISC" for model in missing):
            ui.print_(LICENCE)
        if failed := self._fetch_all(missing):
            raise UserError(f"{failed} of {len(missing)} models not fetched")

    def verify(self, names: list[str]) -> None:
        """Compare what is in the model folder with the known digests."""
        recorded = checksums.recorded(self.folder)
        known = catalogue.known_digests()
        changed = 0
        graphs = self._chosen(names)
        if not graphs:
            none = f"no models in {self.folder}"
            say(installed.folder_fault(self.folder) or none)
        for graph in graphs:
            try:
                sha256 = checksums.file_sha256(graph)
            except OSError as exc:
                changed += 1
                self.log.error("{}: {}", graph, exc.strerror)
                continue
            expected = known[graph.name]
            if graph.name in recorded:
                expected = {*expected, recorded[graph.name]}
            if not expected:
                state = f"nothing to compare it with; it has {sha256}"
            elif expected == {sha256}:
                state = "ok"
            else:
                changed += 1
                state = (
                    f"has {sha256} instead of"
                    f" {', '.join(sorted(expected - {sha256}))};"
                    " remove it and fetch it again"
                )
            say(f"{graph.name}: {state}")
        if changed:
            raise UserError(
                f"{changed} of the models are not what they should be"
            )

    def _chosen(self, names: list[str]) -> list[Path]:
        if names:
            return [self._own(name) for name in names]
        return sorted(self.folder.glob("*.pb"))

    def remove(self, names: list[str]) -> None:
        """Delete models from the model folder."""
        for graph in [self._own(name) for name in _needed(names, "an ID")]:
            with locked(self.folder, self._say_waiting):
                checksums.forget(self.folder, [graph.name])
                for path in (graph, graph.with_suffix(".json")):
                    path.unlink(missing_ok=True)
            say(f"{graph.stem}: removed")
        self._warn_of_orphans()

    def _fetch_all(self, models: Sequence[Published]) -> int:
        """Fetch models; return how many could not be fetched.

        Raises
        ------
        SoundtagsError
            If no model can be fetched at all.
        """
        if models:
            check_source(self.source, self.opts.insecure)
        failed = 0
        for model in models:
            try:
                with locked(self.folder, self._say_waiting):
                    self._fetch(model)
            except (UnreachableHost, UnwritableFolder):
                raise  # all others would fail in the same way
            except SoundtagsError as exc:
                failed += 1
                self.log.error("{}: {}", model.id, exc)
        return failed

    def _say_waiting(self) -> None:
        ui.print_("waiting for another program that changes the model folder")

    def _fetch(self, model: Published) -> None:
        if self._here(model):  # another program has fetched it meanwhile
            ui.print_(f"{model.id}: is here already")
            return
        with progress_bar(model.id) as report:
            fetched = fetch(
                model.files,
                self.folder,
                self.source,
                insecure=self.opts.insecure,
                report=report,
                examine=partial(_examine, metadata=model.metadata),
            )
        digest = "digest verified" if fetched.known else "digest recorded"
        name = model.id
        if fetched.path.stem != name:
            name += f" in the announcement's version, {fetched.path.stem}"
        size = decimal(fetched.path.stat().st_size)
        say(f"{name}: fetched, {size}, {digest}")

    def _here(self, model: Published) -> Path | None:
        """Return the graph of a model, under any of its names."""
        here = installed.graphs(self.folder)
        names = (model.id, *model.aliases)
        return next((here[name] for name in names if name in here), None)

    def _own(self, name: str) -> Path:
        """Return a graph that the user put into the model folder."""
        here = installed.graphs(self.folder)
        graph = here.get(name) or here.get(catalogue.names().get(name, ""))
        if graph is None:
            raise UnknownModel(f"{name} is not in {self.folder}")
        if installed.is_embedded(graph):
            raise UnknownModel(f"{name} comes with the package and stays")
        return graph

    def _all_facts(self) -> list[dict[str, Any]]:
        if fault := installed.folder_fault(self.folder):
            self.log.warning("{}", fault)
        here = installed.graphs(self.folder)
        known = [
            self._facts(model, self._here(model))
            for model in catalogue.published().values()
        ]
        taken = {facts["path"] for facts in known}
        foreign = [
            facts
            for name, graph in here.items()
            if str(graph) not in taken
            for facts in self._foreign(name, graph)
        ]
        return known + foreign

    def _facts(self, model: Published, graph: Path | None) -> dict[str, Any]:
        return {
            "id": model.id,
            "state": _state(graph),
            "path": str(graph) if graph else None,
            "aliases": [*model.aliases],
            "family": model.family,
            **_metadata_facts(model.target, model.metadata),
            "announced": model.announced,
            "licence": model.licence,
            "files": [
                {**file._asdict(), "url": self._url(file.path)}
                for file in model.files
            ],
        }

    def _foreign(self, name: str, graph: Path) -> Iterator[dict[str, Any]]:
        try:
            facts = installed.read_metadata(graph)
        except UnusableModel as exc:
            self.log.warning("{}", exc)
            return
        target = installed.target_of(name, facts)
        yield {
            "id": name,
            "state": _state(graph),
            "path": str(graph),
            "family": "not in the catalogue",
            **_metadata_facts(target.name if target else None, facts),
        }

    def _url(self, path: str) -> str:
        return f"{without_password(self.source).rstrip('/')}/{path}"

    def _warn_of_orphans(self) -> None:
        here = installed.graphs(self.folder)
        for name, graph in here.items():
            try:
                backbone = installed.read_metadata(graph).backbone
            except UnusableModel:
                continue
            if backbone and backbone not in here:
                self.log.warning("{} needs {}, which is gone", name, backbone)


ACTIONS: dict[str, Callable[[ModelsCommand, list[str]], None]] = {
    "list": ModelsCommand.list_models,
    "info": ModelsCommand.info,
    "fetch": ModelsCommand.fetch,
    "verify": ModelsCommand.verify,
    "remove": ModelsCommand.remove,
}


def _metadata_facts(target: str | None, metadata: Metadata) -> dict[str, Any]:
    return {
        "target": target,
        "classes": [*metadata.classes],
        "algorithm": metadata.algorithm,
        "backbone": metadata.backbone,
        "input": metadata.input,
        "outputs": dict(metadata.outputs),
        "metrics": dict(metadata.metrics),
    }


def _examine(graph: Path, metadata: Metadata) -> None:
    """Check that a file is the graph of a model.

    Raises
    ------
    UnusableModel
        If it is not.
    """
    from soundtags.inference.graph import read_graph

    nodes = metadata.predictions, metadata.embedding
    read_graph(graph, list(filter(None, nodes)))


def _state(graph: Path | None) -> str:
    if graph is None:
        return ""
    return "embedded" if installed.is_embedded(graph) else "installed"


def _needed(names: list[str], what: str) -> list[str]:
    if not names:
        raise UserError(f"this needs {what}; see beet help soundmodels")
    return names
