"""Analyses audio, to tag music with genre, mood, danceability and voice."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial
from logging import DEBUG
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from beets import config as beets_config
from beets import plugins, ui
from beets.exceptions import UserError
from beets.util import displayable_path
from confuse import ConfigError
from mediafile import MediaFile

from beetsplug.soundtags import (
    albums,
    configuration,
    database,
    fields,
    query_clauses,
)
from beetsplug.soundtags.commands import COMMANDS
from beetsplug.soundtags.media_fields import media_field
from beetsplug.soundtags.taught import all_targets
from beetsplug.soundtags.welcome import Welcome
from soundtags.errors import (
    SoundtagsError,
    UnexpectedFailure,
    UnwritableTags,
    capture_errors,
)
from soundtags.models import catalogue
from soundtags.text import printable

if TYPE_CHECKING:
    from logging import LogRecord
    from optparse import Values

    from beets.dbcore.types import Type
    from beets.importer import ImportSession, ImportTask
    from beets.library import Item, Library

    from beetsplug.soundtags.commands import Command
    from beetsplug.soundtags.tagger import Tagger
    from soundtags.labelling.interpret import Outcome


T = TypeVar("T")


class Pending(NamedTuple):
    """What an item still lacks while its file is not in place yet.

    Attributes
    ----------
    names
        Fields to write to the file.
    plan
        Digest of the plan that the item is up to date with from then on.
    before
        The fields as they were before the analysis.
    """

    names: list[str]
    plan: str
    before: dict[str, Any]


class SoundtagsPlugin(plugins.BeetsPlugin):
    """Declares fields, configuration, commands and hooks; the rest is lazy."""

    def __init__(self) -> None:
        super().__init__()
        self._log.addFilter(_make_printable)
        self.config.add(configuration.DEFAULTS)
        # What imported items still lack, by item id.
        self._pending: dict[int | None, Pending] = {}
        self._complaints: set[str] = set()  # about the configuration
        self._welcome = Welcome()
        self._declare_file_tags()
        query_clauses.answer_from_database()
        self.register_listener("pluginload", self._declare_computed_fields)
        if self._listens_on_import():
            self.import_stages = [self.imported]
            self.register_listener("import_task_files", self.files_in_place)
            self.register_listener("import_begin", self._welcome.begin)
            self.register_listener("import", self._welcome.end)

    @property
    def item_types(self) -> dict[str, Type]:
        return self._unless_others_have(
            "item_types", {**self._types, **fields.TRACK_FIELDS}
        )

    @property
    def album_types(self) -> dict[str, Type]:
        kinds = {name: kind for name, (kind, _) in albums.FIELDS.items()}
        return self._unless_others_have("album_types", kinds)

    def _unless_others_have(
        self, attribute: str, ours: dict[str, T]
    ) -> dict[str, T]:
        """Leave out fields that another plugin declares, too.

        Beets stops if two plugins declare different types for one field.
        """
        others = {
            name
            for plugin in plugins.find_plugins()
            if plugin is not self
            for name in getattr(plugin, attribute, {})
        }
        return {name: ours[name] for name in ours if name not in others}

    @cached_property
    def _types(self) -> dict[str, Type]:
        try:
            targets = all_targets(configuration.model_dir(self.config))
        except (ConfigError, OSError) as exc:
            self._complain(exc)
            targets = catalogue.targets()
        return fields.item_types(targets.values())

    def commands(self) -> list[ui.Subcommand]:
        return [self._subcommand(command) for command in COMMANDS]

    def _subcommand(self, command: Command) -> ui.Subcommand:
        def run(lib: Library, opts: Values, args: list[str]) -> None:
            try:
                command.run(lib, self.config, self._log, opts, args)
            except (SoundtagsError, UserError) as exc:
                raise UserError(printable(str(exc))) from exc
            except OSError as exc:
                if exc.filename is None:
                    raise  # such as a closed pipe, which ends beets quietly
                path = displayable_path(exc.filename)
                raise UserError(printable(f"{path}: {exc.strerror}")) from exc

        parser = ui.CommonOptionsParser(
            usage=f"%prog {command.usage}", description=command.description
        )
        for option in command.options:
            parser.add_option(option)
        made = ui.Subcommand(command.name, parser, command.help)
        made.func = run
        return made

    def _declare_file_tags(self) -> None:
        # Where files are never written, fields live in the library alone,
        # and `beet update` must not look for them in files.
        if not beets_config["import"]["write"].get(bool):
            return
        try:
            names = configuration.file_tags(self.config, self._types)
        except ConfigError as exc:
            self._complain(exc)
            return
        for name in names:
            if name not in MediaFile.__dict__:
                kind = fields.kind_of(self._types[name])
                self.add_media_field(name, media_field(name, kind))

    def _complain(self, error: Exception) -> None:
        self._log.error("{}", error)
        self._complaints.add(str(error))

    def _declare_computed_fields(self) -> None:
        # Types of other plugins may not accept None, which albums can have.
        for name in albums.FIELDS.keys() & self.item_types:
            self.album_template_fields[name] = partial(
                albums.album_value, name=name
            )
        self.template_fields = self._unless_others_have(
            "template_fields",
            {
                name: partial(fields.track_value, name=name)
                for name in fields.TRACK_FIELDS
            },
        )

    def _listens_on_import(self) -> bool:
        try:
            return configuration.auto(self.config)
        except ConfigError as exc:
            self._log.error("{}; nothing will be analysed on import", exc)
            return False

    def imported(self, _session: ImportSession, task: ImportTask) -> None:
        """Analyse the items of a task; their files are not ours to write yet.

        Paths can depend on the fields, so this comes before files move.
        """
        tagger = self._import_tagger
        if tagger is None:
            return
        for step in (_mend, self._analyse, _update_album):
            failure = capture_errors(step, tagger, task)
            if failure:
                self._go_on_without(failure)

    def _analyse(self, tagger: Tagger, task: ImportTask) -> None:
        items = [
            item for item in task.imported_items() if tagger.is_stale(item)
        ]
        for item, outcome in tagger.analyse(items):
            failure = capture_errors(self._take, tagger, item, outcome)
            if isinstance(failure, UnexpectedFailure):
                self._warn(item, failure)
            elif failure:
                raise failure

    def _take(
        self, tagger: Tagger, item: Item, outcome: Outcome | None
    ) -> None:
        from beetsplug.soundtags.history import snapshot
        from beetsplug.soundtags.library_access import store_items
        from beetsplug.soundtags.safe_write import record_file

        if isinstance(outcome, SoundtagsError):
            self._warn(item, outcome)
        elif outcome:
            before = snapshot(item, outcome.fields)
            names = tagger.apply(item, outcome.fields)
            if ui.should_write():
                with suppress(UnwritableTags):  # the write reports it
                    record_file(item, names)
            self._pending[item.id] = Pending(names, item[fields.PLAN], before)
            # Not up to date before the file is: a killed import is redone.
            del item[fields.PLAN]
            store_items(item)

    def _go_on_without(self, error: SoundtagsError | ConfigError) -> None:
        # The import goes on: music first, tags later.
        if str(error) in self._complaints:
            self._log.error("importing without analysis")
        else:
            self._log.error("importing without analysis: {}", error)
        self._log.debug("{}", getattr(error, "trace", ""))
        self._import_tagger = None

    def files_in_place(self, task: ImportTask, **_kwargs: Any) -> None:
        """Write tags that beets has not: it writes none for as-is imports."""
        for item in task.imported_items():
            pending = self._pending.pop(item.id, None)
            if pending is None:
                continue
            failure = capture_errors(_complete, item, pending)
            if failure:
                self._warn(item, failure)
            else:
                self._welcome.count(item, pending.names)

    @cached_property
    def _import_tagger(self) -> Tagger | None:
        """The tagger of imports; None if there cannot be one."""
        from beetsplug.soundtags.tagger import make_tagger

        def make() -> Tagger | ConfigError:
            try:
                return make_tagger(self.config, self._log, brief=True)
            except ConfigError as exc:
                return exc

        made = capture_errors(make)
        if isinstance(made, Exception):
            self._go_on_without(made)
            return None
        return made

    def _warn(self, item: Item, error: SoundtagsError) -> None:
        self._log.warning("{}: {}", displayable_path(item.path), error)
        self._log.debug("{}", getattr(error, "trace", ""))


def _mend(_tagger: Tagger, task: ImportTask) -> None:
    from beetsplug.soundtags.imported_again import mend

    mend(task.imported_items())


def _update_album(tagger: Tagger, task: ImportTask) -> None:
    if task.is_album and task.album:
        tagger.update_album(task.album)


def _make_printable(record: LogRecord) -> bool:
    """Keep characters that could affect a terminal out of messages."""
    if record.levelno > DEBUG:  # traces have several lines
        record.msg = printable(str(record.msg))
    return True


def _complete(item: Item, pending: Pending) -> None:
    """Write an item's file, and mark the item as up to date in the library."""
    from beetsplug.soundtags.library_access import store_items
    from beetsplug.soundtags.safe_write import file_mtime, write_item

    try:
        # Beets has just put the file there, newer than the item says.
        item.mtime = file_mtime(item)
        item[fields.PLAN] = pending.plan
        if ui.should_write():
            write_item(item, pending.names)
    except Exception:
        database.set_values(item, pending.before)
        raise
    finally:
        store_items(item)
