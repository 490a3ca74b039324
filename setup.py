"""Packaging: the plugin, and the model data that lies beside it.

Two distributions have the same files. One needs TensorFlow, where it has
wheels; the other only what has wheels everywhere. ``make lite`` builds it.
"""

import os
from email import message_from_string
from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

HERE = Path(__file__).parent
HOME = "https://github.com/beets-soundtags/beets-soundtags"
DOCS = ["furo>=2024.1.29", "sphinx>=7.2.6"]

EVERYWHERE = [
    "beets>=2.14",
    "numpy>=2.0.2",
    "av>=15",
    "protobuf>=4.25",
    "mediafile>=0.17",
    "filelock>=3.16",
    "rich>=13",
    "pooch>=1.6",
    "threadpoolctl>=3.5",
]
# Where TensorFlow has wheels (for Python 3.14, only of a release candidate),
# and so has the compiler that resampy needs. No marker tells musl from glibc.
PLATFORMS = " or ".join(
    f"sys_platform == '{system}' and platform_machine == '{machine}'"
    for system, machine in [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("win32", "AMD64"),
    ]
)
FULL, LITE = "beets-soundtags", "beets-soundtags-lite"
REQUIREMENTS = {
    FULL: [
        *EVERYWHERE,
        f"tensorflow>=2.18; python_version < '3.14' and ({PLATFORMS})",
        "soundfile>=0.13",
        f"resampy>=0.4.3; {PLATFORMS}",
    ],
    LITE: EVERYWHERE,
}


def description() -> str:
    """Return the README, with links that lead somewhere on a package index."""
    text = (HERE / "README.rst").read_text(encoding="utf-8")
    text = text.replace("<docs/", f"<{HOME}/blob/main/docs/")
    return text.replace(":: docs/", f":: {HOME}/raw/main/docs/")


def distribution() -> str:
    """Return which one to build: an sdist knows; in a checkout, you choose."""
    metadata = HERE / "PKG-INFO"
    if metadata.exists():
        return message_from_string(metadata.read_text(encoding="utf-8"))["Name"]
    return os.environ.get("SOUNDTAGS_DISTRIBUTION", FULL)


setup(
    name=distribution(),
    version="0.1.0",
    description=(
        "beets plugin that analyses your music and tags it with genre, mood,"
        " danceability and voice"
    ),
    long_description=description(),
    long_description_content_type="text/x-rst",
    author="The beets-soundtags developers",
    url=HOME,
    project_urls={
        "Documentation": "https://beets-soundtags.readthedocs.io",
        "Source": HOME,
        "Issues": f"{HOME}/issues",
        "Changelog": f"{HOME}/blob/main/CHANGELOG.rst",
    },
    keywords=[
        "audio classification",
        "auto-tagging",
        "beets",
        "essentia",
        "genre",
        "mood",
        "music",
        "music information retrieval",
        "musicnn",
        "tensorflow",
    ],
    license="MIT AND ISC",
    license_files=["LICENSE", "NOTICE"],
    platforms="any",
    python_requires=">=3.10",
    packages=[
        *find_namespace_packages(include=["beetsplug.*"]),
        *find_packages(include=["soundtags*"]),
        "soundtags.models.data",
    ],
    # The models lie at the top of the checkout; a wheel carries them inside.
    package_dir={"soundtags.models.data": "models"},
    package_data={
        "beetsplug.soundtags": ["py.typed"],
        "soundtags": ["py.typed"],
        "soundtags.collection": ["ready_made/*.yaml"],
        "soundtags.collection.report": ["*.html", "*.css", "*.js"],
        "soundtags.models.data": ["*.pb", "*.json"],
    },
    zip_safe=False,
    install_requires=REQUIREMENTS[distribution()],
    extras_require={
        "plot": ["matplotlib>=3.9"],
        "cluster": ["distributed>=2024.1"],
        "docs": DOCS,
        "test": [
            *DOCS,
            "build>=1.0.3",
            "distributed>=2024.1",
            "hypothesis>=6.100",
            "matplotlib>=3.9",
            "pyacoustid>=1.3.1",
            "pyarrow>=16.1",
            "pylast>=5.2",
            "pytest>=8",
            "pytest-cov>=5",
            "pytest-xdist>=3.5",
            "pyyaml>=6.0.1",
            "soundfile>=0.13",
            "websocket-client>=1.7",
        ],
        "lint": ["import-linter>=2.4", "mypy>=2", "ruff>=0.15"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: Plugins",
        "Intended Audience :: End Users/Desktop",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Operating System :: OS Independent",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Utilities",
        "Typing :: Typed",
    ],
)
