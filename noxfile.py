"""What is released: wheels and sdists, tested with all we support."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
FULL, LITE = "beets-soundtags", "beets-soundtags-lite"
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
MOST = 15 * 2**20  # bytes of a wheel
# What others may be given: weights under the ISC licence, and the notices.
GRAPHS = {
    f"soundtags/models/data/{name}-1.pb"
    for name in ("msd-musicnn", "msd-vgg", "mtt-musicnn", "mtt-vgg")
}
NOTICES = {"LICENSE", "NOTICE"}

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["packages", "tests", "oldest"]


@nox.session
def packages(session: nox.Session) -> None:
    """Build wheels and sdists, and check what a package index would."""
    session.install("build", "twine", "check-wheel-contents")
    for old in DIST.glob("*"):
        old.unlink()
    for name in (FULL, LITE):
        session.run(
            *("python", "-m", "build", "--outdir", str(DIST), str(ROOT)),
            env={"SOUNDTAGS_DISTRIBUTION": name},
        )
    # setuptools leaves this behind, and it would pass for an installation.
    shutil.rmtree(ROOT / "beets_soundtags_lite.egg-info", ignore_errors=True)
    session.run("twine", "check", "--strict", *map(str, DIST.iterdir()))
    for path in DIST.glob("*.whl"):
        session.run("check-wheel-contents", str(path))
        check(session, path)


def check(session: nox.Session, path: Path) -> None:
    """Check the size of a wheel, and that all in it may be given to others."""
    size = path.stat().st_size
    session.log(f"{path.name}: {size / 2**20:.1f} MB")
    if size > MOST:
        session.error("the wheel is too large")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    if {name for name in names if name.endswith(".pb")} != GRAPHS:
        session.error("these are not the models that come with the package")
    if not {Path(name).name for name in names} >= NOTICES:
        session.error("a notice is missing")


@nox.session(python=PYTHONS)
@nox.parametrize("name", [FULL, LITE], ids=["full", "lite"])
def tests(session: nox.Session, name: str) -> None:
    """Test a wheel with the newest dependencies."""
    run_tests(session, name)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Test a wheel with the oldest dependencies."""
    run_tests(session, FULL, "--constraint", str(ROOT / "tests/oldest.txt"))


def run_tests(session: nox.Session, name: str, *options: str) -> None:
    """Run the quick tests where the checkout cannot be imported from."""
    (wheel,) = DIST.glob(f"{name.replace('-', '_')}-0*.whl")
    session.install(f"{wheel}[test]", *options)
    session.chdir(session.create_tmp())
    config = str(ROOT / "pyproject.toml")
    chosen = session.posargs or ["-n", "auto", "-m", "not slow"]
    session.run(
        *("pytest", "-c", config, "--rootdir", str(ROOT)),
        *(str(ROOT / "tests"), *chosen),
    )
