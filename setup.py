"""Packaging: the plugin, and the model data that lies beside it."""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
DOCS = ["furo", "sphinx>=7"]

setup(
    name="beets-soundtags",
    version="0.1.0",
    description=(
        "beets plugin that listens to your music and tags it with genre, mood,"
        " danceability and voice"
    ),
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT AND ISC",
    license_files=["LICENSE", "NOTICE"],
    platforms="any",
    python_requires=">=3.10",
    packages=[
        "beetsplug.soundtags",
        "beetsplug.soundtags.commands",
        "beetsplug.soundtags.models",
    ],
    # The models lie at the top of the checkout; a wheel carries them inside.
    package_dir={"beetsplug.soundtags.models": "models"},
    package_data={
        "beetsplug.soundtags": [
            "*.csv",
            "py.typed",
            "report.html",
            "report.css",
            "report.js",
        ],
        "beetsplug.soundtags.models": ["*.pb", "*.json"],
    },
    zip_safe=False,
    install_requires=[
        "beets>=2.14",
        "numpy",
        "tensorflow>=2.16",
        "soundfile>=0.13",
        "resampy>=0.4.3",
        "mediafile>=0.17",
        "soxr>=0.5",
        "av>=14",
        "rich",
        "pooch",
        "threadpoolctl>=3.5",
    ],
    extras_require={
        "plot": ["matplotlib>=3.8"],
        "cluster": ["distributed>=2024.1"],
        "docs": DOCS,
        "test": [
            *DOCS,
            "build",
            "distributed>=2024.1",
            "hypothesis",
            "matplotlib",
            "pyarrow",
            "pylast",
            "pytest",
            "pyyaml",
            "websocket-client",
        ],
        "lint": ["mypy", "ruff"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: Plugins",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
    ],
)
