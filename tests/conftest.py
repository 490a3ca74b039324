"""Shared fixtures, and how to run failed tests again."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import av
import pytest
from support.audio import write_track
from support.beet import Beet
from support.paths import ROOT, SHARED

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(ROOT / "demo"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real music, models and reference outputs, where they are at hand."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared here: real music and models are not at hand")
    return SHARED


@pytest.fixture(scope="session")
def ape(shared: Path) -> Path:
    """The one APE file at hand, as nothing we have encodes APE.

    Its checksums are wrong from 0.7 s on, which not every FFmpeg survives.
    """
    if int(av.__version__.split(".")[0]) < 18:
        pytest.skip("the APE file at hand is damaged; PyAV 18 can salvage it")
    return shared / "audio" / "formats" / "ape.ape"


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three pieces of the demonstration."""
    import synthesise

    folder = tmp_path_factory.mktemp("pieces")
    synthesise.write(folder)
    return folder


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """A short FLAC file with a title and an artist."""
    folder = tmp_path / "in"
    folder.mkdir()
    return write_track(folder / "track.flac")


@pytest.fixture
def beet(tmp_path: Path, request: pytest.FixtureRequest) -> Beet:
    """Return beet with our plugin, on an empty library.

    Predictions are made up unless the test is marked with ``models``.
    """
    folder = tmp_path / "beets"
    (folder / "music").mkdir(parents=True)
    made = Beet(folder, request.node.get_closest_marker("models") is not None)
    made.configure()
    return made


@pytest.fixture
def interruptible():
    """Let Ctrl-C work even if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print commands that run the failed tests again."""
    failed = [
        report.nodeid
        for kind in ("failed", "error")
        for report in terminalreporter.stats.get(kind, [])
    ]
    if failed:
        terminalreporter.section("to see these failures again")
        for name in failed:
            terminalreporter.write_line(f"make test ARGS='-n0 \"{name}\"'")
