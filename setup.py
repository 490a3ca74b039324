"""Packaging: the plugin, and the model data that lies beside it."""

from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

HERE = Path(__file__).parent
HOME = "https://github.com/beets-soundtags/beets-soundtags"
DOCS = ["furo>=2024.1.29", "sphinx>=7.2.6"]

setup(
    name="beets-soundtags",
    version="0.1.0",
    description=(
        "beets plugin that listens to your music and tags it with genre, mood,"
        " danceability and voice"
    ),
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
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
        "soundtags.audio": ["*.csv"],
        "soundtags.collection.report": ["*.html", "*.css", "*.js"],
        "soundtags.models.data": ["*.pb", "*.json"],
    },
    zip_safe=False,
    install_requires=[
        "beets>=2.14",
        "numpy>=2.0.2",
        "tensorflow>=2.18",
        "protobuf>=4.25",
        "soundfile>=0.13",
        "resampy>=0.4.3",
        "mediafile>=0.17",
        "soxr>=0.5",
        "av>=15",
        "filelock>=3.16",
        "rich>=13",
        "pooch>=1.6",
        "threadpoolctl>=3.5",
    ],
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
            "pyarrow>=16.1",
            "pylast>=5.2",
            "pytest>=8",
            "pytest-cov>=5",
            "pytest-xdist>=3.5",
            "pyyaml>=6.0.1",
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
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Utilities",
        "Typing :: Typed",
    ],
)
