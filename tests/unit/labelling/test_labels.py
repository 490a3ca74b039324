"""Activations to scores, estimates and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soundtags.labelling.estimates import estimates, genre_strengths
from soundtags.labelling.labels import label as label_with
from soundtags.labelling.scores import model_means, share, target_means
from soundtags.models import catalogue
from soundtags.models.installed import Model
from soundtags.models.metadata import Metadata
from soundtags.models.settings import Settings

SETTINGS = Settings()


def model(name: str, target: str, *classes: str) -> Model:
    return Model(
        id=name,
        graph=Path(f"{name}.pb"),
        sha256="0" * 64,
        target=target,
        metadata=Metadata(
            classes=classes,
            algorithm="TensorflowPredictMusiCNN",
            backbone=None,
            input="in",
            outputs=(("out", "predictions"),),
            multi_label=False,
            regression=False,
            metrics=(),
        ),
    )


MUSIC = {"speech": 0.1, "music": 0.9}


def label(means: dict, settings: Settings = SETTINGS) -> dict:
    """Label a track from means, which are of music unless they say so."""
    estimated = {**estimates(means), "speech": MUSIC}
    fields = label_with(means, estimated, catalogue.targets(), settings)
    if "speech" not in means:
        del fields["speech"]
    return fields


def tags(**strong: float) -> dict[str, dict[str, float]]:
    """Return means of both auto-taggers, low but for the named tags."""
    means = {
        name: dict.fromkeys(catalogue.targets()[name].classes, 0.01)
        for name in ("msd", "mtt")
    }
    for tag, mean in strong.items():
        vocabulary, name = tag.split("_", 1)
        assert name.replace("_", " ") in means[vocabulary]
        means[vocabulary][name.replace("_", " ")] = mean
    return means


def test_means_are_in_the_order_of_each_model():
    one = model("one", "mood_party", "non_party", "party")
    other = model("other", "mood_party", "party", "non_party")
    answers = model_means(
        {
            "one": np.array([0.3, 0.9]),
            "other": np.array([0.5, 0.1]),
        },
        [one, other],
    )
    assert answers["other"] == {"party": 0.5, "non_party": 0.1}
    assert target_means(answers, [one, other]) == {
        "mood_party": {
            "non_party": pytest.approx((0.3 + 0.1) / 2),
            "party": pytest.approx((0.9 + 0.5) / 2),
        }
    }


def test_a_share_is_rounded_once_and_a_true_zero_stays():
    assert share({"yes": 0.2, "no": 0.4}, "yes") == 0.3333
    assert share({"yes": 0.0, "no": 0.4}, "yes") == 0.0
    assert share({"yes": 0.0, "no": 0.0}, "yes") is None


@pytest.mark.parametrize(
    ("target", "positive"),
    [
        ("danceability", "danceable"),
        ("mood_party", "party"),
        ("mood_relaxed", "relaxed"),
        ("mood_sad", "sad"),
        ("mood_happy", "happy"),
        ("mood_acoustic", "acoustic"),
        ("mood_aggressive", "aggressive"),
        ("mood_electronic", "electronic"),
    ],
)
def test_scores_are_of_the_positive_class(target: str, positive: str):
    classes = catalogue.targets()[target].classes
    (negative,) = set(classes) - {positive}
    fields = label({target: {negative: 0.1, positive: 0.9}})
    assert fields[target] == 0.9


def test_text_fields_get_the_readable_top_class_and_its_share():
    means = {"genre_rosamerica": {"cla": 0.1, "rhy": 0.3, "roc": 0.1}}
    fields = label(means)
    assert fields["genre_rosamerica"] == "rhythm and blues"
    assert fields["genre_rosamerica_score"] == 0.6
    assert fields["genres"] == ["Rhythm And Blues"]


def test_gender_is_given_only_where_there_is_a_voice():
    means = {
        "gender": {"female": 0.9, "male": 0.1},
        "voice_instrumental": {"instrumental": 0.1, "voice": 0.9},
    }
    assert label(means)["gender"] == "female"
    means["voice_instrumental"] = {"instrumental": 0.9, "voice": 0.1}
    fields = label(means)
    assert fields["gender"] is None
    assert fields["gender_score"] is None


def test_moods_are_listed_strongest_first_within_the_limits():
    means = {
        "mood_happy": {"happy": 0.6, "non_happy": 0.4},
        "mood_party": {"party": 0.9, "non_party": 0.1},
        "mood_sad": {"sad": 0.5, "non_sad": 0.5},
        "mood_relaxed": {"relaxed": 0.4, "non_relaxed": 0.6},
    }
    settings = SETTINGS
    assert label(means, settings)["mood"] == ["party", "happy", "sad"]
    assert label(means, settings._replace(max_moods=1))["mood"] == ["party"]
    strict = settings._replace(mood_threshold=0.55)
    assert label(means, strict)["mood"] == ["party", "happy"]
    assert label(means, settings._replace(mood_threshold=1))["mood"] == []


def test_targets_without_models_get_no_fields():
    means = {"danceability": {"danceable": 0.5, "not_danceable": 0.5}}
    assert label(means) == {"danceability": 0.5}


@pytest.mark.parametrize(
    ("strong", "expected"),
    [
        ({"msd_jazz": 0.5}, {"genres": ["Jazz"]}),
        (
            {"mtt_strings": 0.4, "mtt_classical": 0.4, "msd_jazz": 0.2},
            {"genres": ["Classical"]},
        ),
        (
            {"mtt_no_vocals": 0.4, "msd_instrumental": 0.3},
            {"voice_instrumental": "instrumental"},
        ),
        (
            {"mtt_vocals": 0.7, "mtt_singing": 0.6},
            {"voice_instrumental": "voice"},
        ),
        ({"msd_rock": 0.4, "mtt_rock": 0.3}, {"genres": ["Rock"]}),
    ],
)
def test_tags_of_both_vocabularies_count(strong, expected):
    fields = label(tags(**strong))
    assert {name: fields[name] for name in expected} == expected


def test_hardly_any_evidence_leaves_a_score_near_the_usual():
    """One tiny sum is not many times another tiny sum."""
    usual = label(tags())["danceability"]
    hint = label(tags(msd_party=0.03))["danceability"]
    proof = label(tags(msd_dance=0.6, mtt_techno=0.7, mtt_beat=0.6))
    assert hint == pytest.approx(usual, abs=0.1)
    assert proof["danceability"] > 0.9


def speech(**more: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return means that are those of speech, and of happy, sung hip hop."""
    return {
        **tags(**{"msd_Hip-Hop": 0.4}, mtt_vocals=0.3),
        "speech": {"speech": 0.9, "music": 0.1},
        "danceability": {"danceable": 0.8, "not_danceable": 0.2},
        "mood_happy": {"happy": 0.7, "non_happy": 0.3},
        "arousal_valence": {"arousal": 7.0, "valence": 5.0},
        "voice_instrumental": {"voice": 0.95, "instrumental": 0.05},
        **more,
    }


def test_speech_is_labelled_as_speech_alone():
    fields = label(speech())
    assert fields["speech"] == 0.9
    assert fields["soundtags"] == ["speech"]
    assert fields["genres"] == fields["mood"] == []
    assert fields["voice_instrumental"] == "voice"
    music = {"danceability", "mood_happy", "mood_sad", "energy", "valence"}
    assert {fields[name] for name in music} == {None}


def test_music_with_some_speech_keeps_its_labels():
    fields = label(speech(speech={"speech": 0.4, "music": 0.6}))
    assert fields["speech"] == 0.4
    assert fields["genres"] == ["Hip Hop"]
    assert "happy" in fields["mood"]
    assert fields["energy"] == 0.75
    assert fields["danceability"] == 0.8


def test_nobody_speaks_without_a_voice():
    quiet = {"voice": 0.1, "instrumental": 0.9}
    fields = label(speech(voice_instrumental=quiet))
    assert fields["speech"] == 0.1
    assert fields["genres"] == ["Hip Hop"]


def test_the_threshold_of_speech_is_a_setting():
    strict = label(speech(), SETTINGS._replace(thresholds={"speech": 0.95}))
    assert strict["genres"] == ["Hip Hop"]
    named = label(speech(), SETTINGS._replace(labels={"speech": "spoken"}))
    assert named["soundtags"] == ["spoken"]


def test_a_dance_track_dances_and_a_slow_piece_does_not():
    dance = label(tags(msd_dance=0.5, mtt_techno=0.6, mtt_beat=0.5))
    slow = label(tags(mtt_slow=0.5, mtt_quiet=0.4, mtt_soft=0.3))
    assert dance["danceability"] > 0.8 > 0.2 > slow["danceability"]
    assert dance["energy"] > slow["energy"]
    assert dance["mood_party"] > slow["mood_party"]
    assert dance["mood_relaxed"] < slow["mood_relaxed"]


def test_a_doubtful_genre_is_given_only_where_it_is_likely():
    assert label(tags())["genres"] == []  # nothing speaks for any
    assert label(tags(msd_jazz=0.27))["genres"] == ["Jazz"]  # below 0.3


def test_genres_far_behind_the_first_are_left_out():
    assert genres_of(tags(msd_jazz=0.9, msd_blues=0.12)) == ["Jazz"]
    assert genres_of(tags(msd_jazz=0.9, msd_blues=0.4)) == ["Jazz", "Blues"]


def test_electronic_comes_behind_genres_of_another_kind():
    synth = {"msd_electronic": 0.5, "mtt_electronic": 0.5}
    assert genres_of(tags(**synth)) == ["Electronic"]
    jazz = tags(**synth, msd_jazz=0.45)
    assert genres_of(jazz) == ["Jazz", "Electronic"]
    house = tags(**synth, msd_House=0.5)
    assert genres_of(house) == ["Electronic", "House"]


def test_rock_with_an_orchestra_is_rock():
    orchestra = {"mtt_strings": 0.3, "mtt_classical": 0.3}
    assert genres_of(tags(**orchestra)) == ["Classical"]
    rock = tags(**orchestra, msd_rock=0.3, mtt_rock=0.3, msd_hard_rock=0.1)
    assert genres_of(rock) == ["Rock"]


def test_plain_metal_is_aggressive_and_no_party():
    loud = {"mtt_rock": 0.7, "mtt_loud": 0.4, "mtt_fast": 0.3}
    rock = label(tags(**loud, msd_rock=0.4, mtt_drums=0.2))
    metal = label(
        tags(**loud, msd_metal=0.7, mtt_metal=0.5, msd_heavy_metal=0.2)
    )
    assert metal["mood"] == ["aggressive"]
    assert metal["mood_party"] < rock["mood_party"]


def test_what_is_plainly_ambient_is_not_aggressive():
    noise = {"mtt_rock": 0.7, "mtt_loud": 0.4, "mtt_fast": 0.3}
    noise |= {"msd_metal": 0.7, "mtt_metal": 0.5, "msd_heavy_metal": 0.2}
    assert "aggressive" in label(tags(**noise))["mood"]
    drone = tags(**noise, msd_ambient=0.6, mtt_ambient=0.6)
    assert "aggressive" not in label(drone)["mood"]


def test_a_classifier_comes_before_the_estimate():
    means = tags(msd_dance=0.9)
    means["danceability"] = {"danceable": 0.1, "not_danceable": 0.9}
    assert label(means)["danceability"] == 0.1


def test_estimates_need_every_vocabulary_they_name():
    only_one = {"msd": tags()["msd"]}
    assert estimates(only_one) == {}
    assert genre_strengths(only_one) == {}
    assert "danceability" not in label(only_one)


def test_tags_are_pooled_under_readable_names():
    means = tags(mtt_female_vocal=0.3, mtt_woman=0.4, msd_ambient=0.35)
    means["msd"]["Hip-Hop"] = 0.2
    fields = label(means, SETTINGS._replace(max_tags=3))
    assert fields["soundtags"] == ["female vocals", "ambient", "hip hop"]


def test_estimates_name_only_tags_and_classes_that_exist():
    targets = catalogue.targets()
    for target, classes in catalogue.estimates().items():
        if target != "genres":
            assert set(classes) <= set(targets[target].classes)
        doubts = [e.unless for e in classes.values() if e.unless]
        for estimate in [*classes.values(), *doubts]:
            assert estimate.floor > 0
            for term in estimate.terms:
                assert len(set(term.tags)) == len(term.tags)
                for vocabulary, name in term.tags:
                    assert name in targets[vocabulary].classes


def genres_of(means: dict, **changes) -> list[str]:
    return label(means, SETTINGS._replace(**changes)).get("genres", [])


def one_of(target: str, **strong: float) -> dict[str, float]:
    """Return means of a target, low but for the named classes."""
    classes = catalogue.targets()[target].classes
    assert set(strong) <= set(classes)
    return {**dict.fromkeys(classes, 0.01), **strong}


def test_the_first_source_that_has_a_genre_gives_it():
    means = {
        **tags(msd_jazz=0.5),
        "genre_tzanetakis": one_of("genre_tzanetakis", blu=0.9),
        "genre_rosamerica": one_of("genre_rosamerica", roc=0.9),
    }
    assert genres_of(means) == ["Jazz"]
    assert genres_of(means, genre_sources=["genre_rosamerica"]) == ["Rock"]
    order = ["genre_tzanetakis", "soundtags"]
    assert genres_of(means, genre_sources=order) == ["Blues"]
    assert genres_of(means, genre_sources=["genre_dortmund"]) == []


def test_catch_all_classes_are_no_genres():
    # "dance" and "speech" of rosamerica are not used; the next source is.
    means = {
        "genre_rosamerica": one_of("genre_rosamerica", dan=0.9, pop=0.2),
        "genre_tzanetakis": one_of("genre_tzanetakis", dis=0.9),
    }
    sources = ["genre_rosamerica", "genre_tzanetakis"]
    assert genres_of(means, genre_sources=sources) == ["Disco"]
    none = {"genre_sources": sources, "never_genres": []}
    assert genres_of(means, **none) == ["Dance"]
    never = {"genre_sources": sources, "never_genres": ["Dance", "disco"]}
    assert genres_of(means, **never) == []
    # The classifier's own field keeps its top class.
    assert label(means)["genre_rosamerica"] == "dance"


def test_styles_split_into_genres_and_styles():
    means = {
        "genre_discogs400": one_of(
            "genre_discogs400",
            **{
                "Electronic---Techno": 0.4,
                "Electronic---Minimal": 0.2,
                "Electronic---House": 0.05,
                "Jazz---Fusion": 0.15,
                "Non-Music---Field Recording": 0.3,
            },
        )
    }
    fields = label(means)
    assert fields["genre_discogs400"] == ["Electronic", "Non-Music", "Jazz"]
    assert fields["genre_discogs400_style"] == [
        "Techno",
        "Field Recording",
        "Minimal",
    ]
    assert fields["genres"] == ["Electronic", "Jazz"]
    strict = SETTINGS._replace(thresholds={"Jazz": 0.2}, max_genres=1)
    fields = label(means, strict)
    assert fields["genres"] == ["Electronic"]
    assert fields["genre_discogs400_style"] == ["Techno"]


def test_labels_of_many_classes_are_listed_strongest_first():
    means = {
        "mtg_jamendo_moodtheme": one_of(
            "mtg_jamendo_moodtheme", space=0.2, dark=0.4, film=0.3
        )
    }
    fields = label(means, SETTINGS._replace(max_tags=3))
    assert fields == {"mtg_jamendo_moodtheme": ["dark", "film", "space"]}


def test_arousal_and_valence_become_shares():
    means = {"arousal_valence": {"valence": 5.12345678, "arousal": 7.0}}
    assert label(means) == {"valence": 0.5154, "energy": 0.75}
    means = {"arousal_valence": {"valence": 9.2, "arousal": 0.8}}
    assert label(means) == {"valence": 1.0, "energy": 0.0}


def test_thresholds_of_single_moods_and_genres():
    means = {
        "mood_happy": {"happy": 0.6, "non_happy": 0.4},
        "mood_party": {"party": 0.6, "non_party": 0.4},
    }
    strict = SETTINGS._replace(thresholds={"Happy": 0.7})
    assert label(means, strict)["mood"] == ["party"]
    lenient = SETTINGS._replace(thresholds={"happy": 0.1}, mood_threshold=0.9)
    assert label(means, lenient)["mood"] == ["happy"]

    jazz = tags(msd_jazz=0.5)
    assert genres_of(jazz) == ["Jazz"]
    # Not even as the likeliest one.
    assert "Jazz" not in genres_of(jazz, thresholds={"jazz": 100})
    rock = {"genre_rosamerica": one_of("genre_rosamerica", roc=0.5, pop=0.45)}
    assert genres_of(rock) == ["Rock"]
    assert genres_of(rock, thresholds={"rock": 0.6}) == []


def test_names_can_be_the_users_own():
    labels = {
        "happy": "joyful",
        "relaxed": None,
        "hip hop": "Rap",
        "instrumental": "no vocals",
        "Jazz": "jazz & blues",
    }
    settings = SETTINGS._replace(labels=labels)
    means = {
        **tags(msd_jazz=0.5),
        "mood_happy": {"happy": 0.9, "non_happy": 0.1},
        "mood_relaxed": {"relaxed": 0.9, "non_relaxed": 0.1},
        "voice_instrumental": {"instrumental": 0.9, "voice": 0.1},
        "gender": {"female": 0.9, "male": 0.1},
        "genre_rosamerica": one_of("genre_rosamerica", hip=0.9),
    }
    fields = label(means, settings)
    assert fields["genres"] == ["jazz & blues"]
    assert fields["soundtags"][0] == "jazz & blues"
    assert "joyful" in fields["mood"]
    assert "happy" not in fields["mood"]
    assert "relaxed" not in fields["mood"]
    assert fields["voice_instrumental"] == "no vocals"
    assert fields["gender"] is None  # no voice, whatever it is called
    assert fields["genre_rosamerica"] == "Rap"


def test_classes_of_the_same_name_are_listed_once():
    settings = SETTINGS._replace(labels={"happy": "good", "party": "good"})
    means = {
        "mood_happy": {"happy": 0.9, "non_happy": 0.1},
        "mood_party": {"party": 0.9, "non_party": 0.1},
    }
    assert label(means, settings)["mood"] == ["good"]
