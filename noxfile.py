"""What is released: wheel and sdist, tested with all we support."""

from __future__ import annotations

from pathlib import Path

import nox

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
FULL, LITE = "beets-soundtags", "beets-soundtags-lite"
MOST = 15 * 2**20  # bytes of a wheel

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["packages", "tests"]


@nox.session
def packages(session: nox.Session) -> None:
    """Build wheels and sdists, and check what a package index would."""
    session.install("build", "twine")
    for old in DIST.glob("*"):
        old.unlink()
    for name in (FULL, LITE):
        session.run(
            *("python", "-m", "build", "--outdir", str(DIST), str(ROOT)),
            env={"SOUNDTAGS_DISTRIBUTION": name},
        )
    session.run("twine", "check", "--strict", *map(str, DIST.iterdir()))
    for wheel in DIST.glob("*.whl"):
        size = wheel.stat().st_size
        session.log(f"{wheel.name}: {size / 2**20:.1f} MB")
        if size > MOST:
            session.error("the wheel is too large")


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
@nox.parametrize("beets", ["beets==2.14.0", "beets"], ids=["2.14.0", "newest"])
def tests(session: nox.Session, beets: str) -> None:
    """Test the wheel, where the checkout cannot be imported from."""
    (wheel,) = DIST.glob("beets_soundtags-*.whl")
    session.install(f"{wheel}[test]", beets)
    session.chdir(session.create_tmp())
    config = str(ROOT / "pyproject.toml")
    paths = session.posargs or [str(ROOT / "tests")]
    session.run("pytest", "-c", config, "--rootdir", str(ROOT), *paths)
