"""Whole exams: sets by all their names, what is missing, means, tables, labels of one's own, the hub."""

import json
from pathlib import Path

import pytest
from toy_exams import colour_samples, install_elevater, npy, write_tars
from toy_training import COLOURS, HAN, ToyTeacher, picture, png

from training.exams import results
from training.exams.finding import names_of
from training.exams.folders import ExamError
from training.exams.settings import ExamSource, HubSet, Labels
from training.exams.sitting import sit_exam, sit_exams

ENCODERS = {"teacher": ToyTeacher(), "student": ToyTeacher()}


@pytest.fixture
def elevater(tmp_path, monkeypatch) -> Path:
    """Three of the four sets, in folders named as clip_benchmark, the toolkit and nobody name them."""
    install_elevater(monkeypatch)
    home = tmp_path / "elevater"
    names = ("white", *COLOURS[:5])
    write_tars(home / "wds_vtab-cifar10", colour_samples(names), classnames="\n".join(names))
    write_tars(home / "hateful_memes", colour_samples(COLOURS[:2]))
    samples = [{"png": png(picture(c)), "npy": npy([c == other for other in COLOURS])} for c in COLOURS]
    write_tars(home / "wds_voc2007_multilabel", samples)
    (home / "holidays").mkdir()
    return home


def sit(source: ExamSource) -> dict:
    return sit_exam(source, ENCODERS, "evaluate_student")


def test_sets_that_are_there_are_sat_and_the_missing_named(elevater):
    found = sit(ExamSource("elevater", str(elevater)))
    assert [item["set"] for item in found["sets"]] == ["cifar-10", "hateful-memes", "voc-2007-classification"]
    assert found["skipped"] == [{"set": "oxford-iiit-pets", "reason": "missing"}]
    assert (found["name"], found["num_asked"]) == ("elevater", 4)
    full = {lang: {"mean": 1.0, "num_sets": 3} for lang in ("en", "zh")}
    assert found["averages"]["all"] == {"teacher": full, "student": full}
    assert found["averages"]["without_near_chance"]["student"]["zh"]["num_sets"] == 2
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_broken_set_is_skipped_with_its_reason(elevater):
    (elevater / "wds_vtab-cifar10" / "classnames.txt").write_text("a\nb\nc\nd\ne\nf\n")
    found = sit(ExamSource("elevater", str(elevater), sets=("cifar-10", "hateful-memes")))
    assert [item["set"] for item in found["sets"]] == ["hateful-memes"]
    assert "classnames.txt" in found["skipped"][0]["reason"]


def test_only_asked_models_and_languages_sit(elevater):
    source = ExamSource("elevater", str(elevater), languages=("zh",), models=("student",))
    (found,) = sit_exams((source,), ENCODERS, "evaluate_student")
    assert set(found["averages"]["all"]) == {"student"}
    assert set(found["sets"][0]["figures"]["student"]) == {"zh"}


def test_a_set_that_elevater_has_not_is_told(elevater):
    with pytest.raises(ExamError, match="not all of imagenet"):
        sit(ExamSource("elevater", str(elevater), sets=("imagenet",)))


def test_one_set_may_be_the_folder_itself(elevater):
    source = ExamSource("elevater", str(elevater / "hateful_memes"), sets=("hateful-memes",))
    assert [item["set"] for item in sit(source)["sets"]] == ["hateful-memes"]


def test_names_and_templates_of_ones_own(elevater, tmp_path):
    """White takes the name of black: of the two the first is right, as an argmax has it, in Chinese alone."""
    own = tmp_path / "labels"
    (own / "cifar-10").mkdir(parents=True)
    (own / "cifar-10" / "classnames_zh.txt").write_text("红\n绿\n蓝\n黄\n黑\n黑\n")
    (own / "zeroshot_classification_templates_zh.txt").write_text("{}的照片\n")
    source = ExamSource("elevater", str(elevater), sets=("cifar-10",), labels=Labels(str(own)))
    figures = sit(source)["sets"][0]["figures"]["student"]
    assert figures["en"]["figure"] == 1.0
    assert figures["zh"]["figure"] == figures["zh"]["top1"] == pytest.approx(5 / 6)
    assert figures["zh"]["ties_wrong"] == pytest.approx(4 / 6)
    assert "ties_wrong" not in figures["en"]
    assert sit(source)["sets"][0]["duplicate_names"] == {"zh": {"黑": [4, 5]}}


def test_names_of_ones_own_that_do_not_fit_skip_the_set(elevater, tmp_path):
    (tmp_path / "labels" / "cifar-10").mkdir(parents=True)
    (tmp_path / "labels" / "cifar-10" / "classnames_zh.txt").write_text("红\n")
    source = ExamSource(
        "elevater", str(elevater), sets=("cifar-10",), labels=Labels(str(tmp_path / "labels"))
    )
    assert "the set has 6 classes" in sit(source)["skipped"][0]["reason"]


@pytest.fixture
def colours(tmp_path) -> Path:
    """A set that brings names and templates in both languages."""
    return write_tars(
        tmp_path / "colours",
        colour_samples(),
        classnames="\n".join(COLOURS),
        classnames_zh="\n".join(HAN.values()),
        zeroshot_classification_templates="{c}",
        zeroshot_classification_templates_zh="{c}色",
    )


def test_a_set_with_names_of_its_own(colours):
    found = sit(ExamSource("classification", str(colours)))
    (result,) = found["sets"]
    assert (found["kind"], result["set"], result["num_images"]) == ("classification", "colours", 12)
    assert {lang: figures["figure"] for lang, figures in result["figures"]["teacher"].items()} == {
        "en": 1,
        "zh": 1,
    }


def test_a_set_without_chinese_names_is_sat_in_english(colours):
    (colours / "classnames_zh.txt").unlink()
    assert set(sit(ExamSource("classification", str(colours)))["sets"][0]["figures"]["teacher"]) == {"en"}
    (colours / "classnames.txt").unlink()
    assert "needs classnames.txt" in sit(ExamSource("classification", str(colours)))["skipped"][0]["reason"]


def test_folders_of_pictures_name_their_classes(tmp_path):
    for colour in COLOURS:
        (tmp_path / "set" / "test" / colour).mkdir(parents=True)
        picture(colour).save(tmp_path / "set" / "test" / colour / "a.png")
    (tmp_path / "set" / "zeroshot_classification_templates.txt").write_text("{c}")
    (result,) = sit(ExamSource("classification", str(tmp_path)))["sets"]
    assert result["figures"]["teacher"] == {"en": {"figure": 1.0, "top1": 1.0, "top5": 1.0}}


def test_every_folder_of_a_retrieval_exam_is_a_set(tmp_path):
    for name in ("coco-cn", "ours"):
        write_tars(tmp_path / name, [{"png": png(picture("red")), "zh.txt": "红".encode()}])
    (tmp_path / "empty").mkdir()
    found = sit(ExamSource("retrieval", str(tmp_path), name="pairs"))
    assert [item["set"] for item in found["sets"]] == ["coco-cn", "ours"]
    assert [item["set"] for item in found["skipped"]] == ["empty"]
    assert found["averages"]["all"]["student"] == {"zh": {"mean": 1.0, "num_sets": 2}}


def test_tables_say_over_how_many_sets(elevater):
    lines = results.lines(sit(ExamSource("elevater", str(elevater))))
    assert lines[0].split() == [
        "set",
        "figure",
        "teacher",
        "en",
        "teacher",
        "zh",
        "student",
        "en",
        "student",
        "zh",
    ]
    assert lines[1].split() == ["cifar-10", "top-1", *["100.00"] * 4]
    assert lines[4].startswith("mean of 3 of 4 sets")
    assert lines[5].split()[:9] == ["mean", "of", "2", "of", "4", "sets", "without", "near", "chance"]
    assert lines[-1] == "skipped oxford-iiit-pets: missing"


def test_tables_of_retrieval_have_a_row_a_recall(tmp_path):
    write_tars(tmp_path / "ours", [{"png": png(picture("red")), "zh.txt": "红".encode()}])
    _, rows = results.table(sit(ExamSource("retrieval", str(tmp_path))))
    assert [row[1] for row in rows[:7]] == [
        *(f"{way} R@{k}" for way in ("text to image", "image to text") for k in (1, 5, 10)),
        "mean recall",
    ]


def test_a_mean_of_nothing_is_a_dash(tmp_path):
    lines = results.lines(sit(ExamSource("retrieval", str(tmp_path))))
    assert lines[1].startswith("mean of 0 of 0 sets")


def test_a_set_without_a_value_is_left_out_of_the_mean():
    sets = [{"near_chance": False, "figures": {"m": {"en": {"figure": value}}}} for value in (0.5, None, 1.0)]
    assert results.averages(sets)["all"] == {"m": {"en": {"mean": 0.75, "num_sets": 2}}}


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("oxford_iiit_pets", "pets"),
        ("kitti-distance", "kitticlosestvehicledistance"),
        ("food-101", "food101"),
    ],
)
def test_a_set_goes_by_several_names(key, folder):
    assert folder in names_of(key)


def test_sets_from_a_hub_are_pinned_and_fetched(elevater, monkeypatch):
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options))
        return str(elevater / "hateful_memes")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    hub = HubSet("hateful-memes", "someone/wds_hateful_memes", "0" * 40)
    found = sit(ExamSource("elevater", hub=(hub,)))
    assert [item["set"] for item in found["sets"]] == ["hateful-memes"]
    assert len(found["skipped"]) == 3
    ((repository, options),) = asked
    assert (repository, options["revision"], options["repo_type"]) == (hub.repository, "0" * 40, "dataset")
    assert "test/*.tar" in options["allow_patterns"]


def test_a_set_that_the_hub_does_not_give_is_skipped(elevater, monkeypatch):
    def offline(repository, **options):
        raise OSError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    for revision, words in (("0" * 40, "cannot be fetched: no network"), ("main", "40 hex digits")):
        hub = (HubSet("hateful-memes", "someone/x", revision),)
        found = sit(ExamSource("elevater", hub=hub, sets=("hateful-memes",)))
        assert words in found["skipped"][0]["reason"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "quiz", "path": "a"}, "kind is one of elevater"),
        ({"kind": "elevater"}, "needs a path"),
        ({"kind": "elevater", "path": "a", "languages": ("fr",)}, "languages are among en, zh"),
        ({"kind": "elevater", "path": "a", "models": ("pupil",)}, "models are among teacher, student"),
    ],
)
def test_sources_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ExamSource(**options)
