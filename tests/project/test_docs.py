"""The documentation: it builds, its commands run, its settings are allowed."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import synthesise
import yaml
from beets.library import Item
from docutils import nodes
from docutils.core import publish_doctree
from support.audio import noise
from support.beet import Beet
from support.paths import ROOT
from synthesise import PIECES

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.commands import COMMANDS
from soundtags.collection.recipes import ENTRIES, expand, parse_recipe
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from beetsplug.soundtags.commands import Command

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.rst", *sorted(DOCS.glob("*.rst"))]
PLACEHOLDER = re.compile(r"\b(DIR|FILE|FORMAT|GROUP|ID|N|NODE|QUERY)\b|[][…]")
FIELD = re.compile(r"\^?([a-z_0-9]+)(?:::?|[-+]$)")  # where a term begins
SHOWN = re.compile(r"\$([a-z_0-9]+)|%ifdef\{([a-z_0-9]+)")  # in formats
# What is set for the pieces of the demonstration, so that examples find
# something.
SET = {
    "Four on the Floor": ["artist=Autechre", "mood=happy"],
    "Slow Weather": ["mood=relaxed"],
    "Drop A": ["title=Autobahn", "genres=Rock"],
}
# By section of the configuration, a command that reads it.
READERS = {
    "plugins": ["version"],
    "soundtags": ["soundtags", "--pretend", "artist:nobody"],
    "smartplaylist": ["splupdate"],
    "paths": ["move", "--pretend"],
    "zero": ["zero"],
}
# What is said where there are too few tracks to teach anything.
TAUGHT = re.compile("too few|no matching track|no words|has not been taught")
# By action on models, the one that has to come first.
FIRST = {"remove": "fetch"}


class Block(NamedTuple):
    """A literal block.

    Attributes
    ----------
    page
        The name of the file that it is in.
    before
        The paragraph before it.
    language
        What it says it is; empty if nothing.
    text
        Its lines.
    """

    page: str
    before: str
    language: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        """What is in it, of YAML."""
        return yaml.safe_load(self.text)


class Home(Beet):
    """beet with a home of its own, in which it is called."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self) -> dict[str, str]:
        home = dict.fromkeys(("HOME", "USERPROFILE"), str(self.home))
        return {**super().environment(), **home}

    def run(self, *args: str) -> str:
        """Run a command, say yes to it, and return its complaints."""
        done = self(*args, cwd=self.home, input="y\n")
        assert "Traceback" not in done.stderr
        return done.stderr


class Mirror(Home):
    """beet with a folder that has stand-ins for all of upstream's models.

    They have other digests than the originals, so the plugin is a copy whose
    catalogue has theirs.
    """

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(self.checkout)}

    def fill(self) -> None:
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("beetsplug", "models", "soundtags"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=ignored)
        path = self.checkout / "models" / "catalogue.json"
        models = json.loads(path.read_text(encoding="utf-8"))
        source = self.folder / "source"
        source.mkdir()
        for name, facts in models.items():
            content = f"\0stand-in for {name}".encode()
            (source / f"{name}.pb").write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            facts["files"] = [
                {"path": each["path"], "size": len(content), "sha256": digest}
                for each in facts["files"]
            ]
        path.write_text(json.dumps(models), encoding="utf-8")
        self.configure(soundtags={"source": str(source)})


@cache
def blocks() -> list[Block]:
    """Return all literal blocks."""
    return [block for page in PAGES for block in _blocks(page)]


def _blocks(page: Path) -> Iterator[Block]:
    # Sphinx's own roles and directives are nothing to docutils; never mind.
    tree = publish_doctree(
        page.read_text(encoding="utf-8"),
        str(page),
        settings_overrides={"report_level": 5, "halt_level": 5},
    )
    for node in tree.findall(nodes.literal_block):
        place = node.parent.index(node)
        yield Block(
            page.name,
            node.parent[place - 1].astext() if place else "",
            "".join(node["classes"]).removeprefix("code"),
            node.astext(),
        )


def commands() -> list[tuple[str, ...]]:
    """Return what beet is called with in literal blocks, each once."""
    lines = [
        line.strip().removeprefix("$ ")
        for block in blocks()
        for line in block.text.splitlines()
    ]
    found = [_arguments(line) for line in lines if line.startswith("beet ")]
    return list(dict.fromkeys(found))


def _arguments(line: str) -> tuple[str, ...]:
    # Where output goes is the shell's business.
    _, *words = shlex.split(line.partition(" > ")[0], comments=True)
    return tuple(words)


def settings() -> list[Block]:
    """Return all examples of configuration."""
    return [block for block in yaml_blocks() if not is_recipe(block)]


def recipes() -> list[Block]:
    """Return all examples of recipes of playlists."""
    return [block for block in yaml_blocks() if is_recipe(block)]


def yaml_blocks() -> list[Block]:
    return [block for block in blocks() if block.language == "yaml"]


def is_recipe(block: Block) -> bool:
    return bool(block.content.keys() & {*ENTRIES})


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in what a YAML file holds."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def names(words: Collection[str]) -> set[str]:
    """Return the fields in terms of queries, and in formats."""
    shown = [name for word in words for name in SHOWN.findall(word)]
    terms = filter(None, map(FIELD.match, words))
    return {*map("".join, shown), *(term[1] for term in terms)}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with some music, which has been imported."""
    home = Home(tmp_path_factory.mktemp("settled"))
    configure(home)
    write_pieces(home.home / "music")
    home("import", "-A", home.home / "music")
    for title, values in SET.items():
        home("modify", "-yW", *values, f"title:={title}")
    return home


@pytest.fixture
def home(settled: Home, tmp_path: Path) -> Home:
    """A copy of that home."""
    home = Home(tmp_path / "beets")
    home.begin_with(settled)
    configure(home)
    return home


def write_pieces(folder: Path) -> None:
    """Write the pieces of the demonstration, with noise instead of music."""
    with pytest.MonkeyPatch.context() as patch:
        for seed, (name, (*tags, _)) in enumerate(PIECES.items()):
            patch.setitem(PIECES, name, (*tags, partial(noise, seed=seed)))
        synthesise.write(folder)


def configure(home: Home) -> None:
    home.configure(
        plugins=["soundtags", "smartplaylist"], soundtags={"patches": 1}
    )


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    mirror = Mirror(tmp_path_factory.mktemp("mirror"))
    mirror.home.mkdir()
    mirror.fill()
    mirror("ls")  # the first command reports on the new database
    return mirror


@pytest.mark.parametrize("command", commands(), ids=shlex.join)
def test_commands_run(
    command: tuple[str, ...], home: Home, request: pytest.FixtureRequest
):
    name, *args = command
    if name == "soundteach":
        done = home(name, *args, status=None, cwd=home.home)
        assert TAUGHT.search(done.stdout + done.stderr)
        return
    if name != "soundmodels":
        home.run(name, *args)
        return
    mirror: Mirror = request.getfixturevalue("mirror")
    action, *models = args or ["list"]
    shutil.rmtree(mirror.folder / "soundtags-models", ignore_errors=True)
    if action in FIRST:
        mirror.run(name, FIRST[action], *models)
    mirror.run(name, action, *models)
    fetched = list((mirror.folder / "soundtags-models").glob("*.pb"))
    assert bool(fetched) == (action == "fetch")


def test_commands_are_such_as_one_can_type():
    assert len(commands()) > 50
    words = [word for command in commands() for word in command]
    assert list(filter(PLACEHOLDER.search, words)) == []


def test_fields_exist():
    known = {
        *Item.all_keys(),
        *fields.item_types(catalogue.targets().values()),
    }
    used = set()
    for name, *args in commands():
        used |= names(args)
        if name == "soundteach":
            known |= {f"mood_{args[0]}", f"is_{args[0]}"}
    for block in settings():
        for section in ("smartplaylist", "paths"):
            for text in texts(block.content.get(section)):
                used |= names(text.split())
    assert "mood" in used
    assert used - known == set()


@pytest.mark.parametrize("block", settings(), ids=lambda block: block.page)
def test_settings_are_allowed(
    block: Block, home: Home, tmp_path: Path, request: pytest.FixtureRequest
):
    config = tmp_path / "config.yaml"
    config.write_text(block.text, encoding="utf-8")
    ours = block.content.get("soundtags", {})
    assert ours.keys() <= configuration.DEFAULTS.keys()
    beet = home
    if isinstance(ours.get("models"), list):
        beet = request.getfixturevalue("mirror")
        beet.run("soundmodels", "fetch", *ours["models"])
    for section in block.content.keys() & READERS.keys():
        complaints = beet.run("-c", str(config), *READERS[section])
        assert "soundtags" not in complaints
    defaults = files("beets").joinpath("config_default.yaml").read_text("utf-8")
    assert block.content.keys() <= READERS.keys() | yaml.safe_load(defaults)


@pytest.mark.parametrize("block", recipes(), ids=lambda block: block.page)
def test_recipes_are_usable(block: Block):
    for name, data in expand("x", block.content, {"genre": ["Rock"]}):
        assert parse_recipe(name, data).fields


def test_defaults_are_the_defaults():
    (block,) = [
        block
        for block in settings()
        if block.before == "This is the default configuration:"
    ]
    assert block.content == {"soundtags": configuration.DEFAULTS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_options_of_commands_are_said(command: Command):
    page = (DOCS / "commands.rst").read_text(encoding="utf-8")
    _, _, section = page.partition(f"\nbeet {command.name}")
    section = re.split(r"\n-+\n", section)[1]
    flags = [
        each for option in command.options for each in str(option).split("/")
    ]
    assert [flag for flag in flags if f"``{flag}" not in section] == []


def test_options_of_the_configuration_are_said():
    page = (DOCS / "configuration.rst").read_text(encoding="utf-8")
    missing = [
        each for each in configuration.DEFAULTS if f"**{each}**" not in page
    ]
    assert missing == []


def test_messages_are_those_of_the_code():
    text = (DOCS / "installing.rst").read_text(encoding="utf-8")
    _, _, table = text.partition("\nOf the plugin:\n")
    said = re.findall(r'"([^"]+)"', " ".join(table.split()))
    parts = [part for each in said for part in each.split("...") if part]
    assert len(parts) > 8
    code = [
        node.value
        for package in ("soundtags", "beetsplug")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [each for each in parts if not any(each in c for c in code)] == []


def test_figures_are_those_of_the_catalogue():
    done = subprocess.run(
        [sys.executable, DOCS / "accuracy.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    page = (DOCS / "models.rst").read_text(encoding="utf-8")
    for table in done.stdout.strip().split("\n\n"):
        assert f"\n\n{table}\n\n" in page


def test_all_modules_are_named():
    text = (DOCS / "how_it_works.rst").read_text("utf-8")
    heading = re.compile(r"^.*\(``([a-z_/]+)/``\)$", re.MULTILINE)
    _, *sections = heading.split(text)
    named = {
        f"{folder}/{name}"
        for folder, section in zip(sections[::2], sections[1::2])
        for name in re.findall(r"^``(\w+\.py)``$", section, re.MULTILINE)
    }
    there = {
        path.relative_to(ROOT).as_posix()
        for package in ("soundtags", "beetsplug")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert {name for name in named if "__init__" not in name} == there


def test_files_that_are_named_exist():
    for name in ("README.rst", "CHANGELOG.rst"):
        text = (ROOT / name).read_text(encoding="utf-8")
        targets = re.findall(r"<(docs/[^>]+)>", text)
        assert targets
        assert [each for each in targets if not (ROOT / each).exists()] == []
    here = {path.name for path in ROOT.glob("[a-z]*/**/*.py")}
    for page in PAGES:
        named = re.findall(r"``(?:\w+/)*(\w+\.py)``", page.read_text("utf-8"))
        assert set(named) <= here, page.name


@pytest.mark.slow
def test_pages_build_without_warnings(tmp_path: Path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-nWq",
            "--keep-going",
            DOCS,
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in DOCS.glob("*.rst")} <= {
        path.stem for path in tmp_path.glob("*.html")
    }
