"""What is said to be stable or experimental is all that there is."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from support.paths import ROOT

import soundtags
from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.commands import COMMANDS
from soundtags import errors
from soundtags.models import catalogue

if TYPE_CHECKING:
    from beetsplug.soundtags.commands import Command

ACTION = re.compile(r"(?<![\w-])[a-z]+(?![\w-])")  # in a usage


@cache
def page() -> nodes.document:
    text = (ROOT / "docs" / "promises.rst").read_text(encoding="utf-8")
    quiet = {"report_level": 5, "halt_level": 5}
    return publish_doctree(text, settings_overrides=quiet)


def section(title: str) -> nodes.section:
    (found,) = (
        each
        for each in page().findall(nodes.section)
        if each[0].astext() == title
    )
    return found


def literals(node: nodes.Node) -> list[str]:
    return [each.astext() for each in node.findall(nodes.literal)]


def promised(title: str) -> set[str]:
    """Return the names in a section's lists; none is in two of them."""
    names = [
        name
        for each in section(title).findall(nodes.definition_list_item)
        for name in literals(each)
    ]
    assert len(set(names)) == len(names)
    return set(names)


def test_fields():
    there = fields.item_types(catalogue.targets().values()).keys()
    scores = {name for name in there if name.endswith("_score")}
    assert {name.removesuffix("_score") for name in scores} <= there
    named = {"genres", *fields.TRACK_FIELDS, *(there - scores)}
    assert promised("Fields") == named


def test_options_of_the_configuration():
    assert promised("Configuration") == configuration.DEFAULTS.keys()


def test_names_in_python():
    names = promised("Python")
    api = set(soundtags.__all__)
    assert api <= names
    assert all(hasattr(errors, name) for name in names - api)


def rows() -> dict[str, list[str]]:
    """Return what the table of commands names, by command."""
    table = next(section("Commands").findall(nodes.tbody))
    found = [literals(row) for row in table]
    return {name.removeprefix("beet "): names for name, *names in found}


def test_commands():
    assert rows().keys() == {command.name for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_options_of_commands(command: Command):
    actions = set(ACTION.findall(command.usage)) - {"options"}
    options = {option.get_opt_string() for option in command.options}
    names = rows()[command.name]
    assert set(names) == actions | options
    assert len(set(names)) == len(names)
