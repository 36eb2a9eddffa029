"""The labels of the exam: as published in English, complete and properly written in Chinese."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import opencc
import pytest

from infra.code_version import files_used
from training.elevater import ELEVATER, GENERIC_TEMPLATES, labels, load_set

# What the toolkit publishes: classes, test images, metric, and a hash of the English names in order.
PUBLISHED = {
    "caltech-101": (102, 6084, "mean-per-class", "44dced67cfca330d"),
    "cifar-10": (10, 10000, "accuracy", "bb3914949cecedee"),
    "cifar-100": (100, 10000, "accuracy", "ad0410630bfb8997"),
    "country211": (211, 21100, "accuracy", "027b30d283f3a153"),
    "dtd": (47, 1880, "accuracy", "681d23b9cd3c2ede"),
    "eurosat_clip": (10, 5000, "accuracy", "ee2e41b9973e7206"),
    "fer-2013": (7, 3589, "accuracy", "965afcb0e27c1618"),
    "fgvc-aircraft-2013b-variants102": (100, 3333, "mean-per-class", "331deff41262a93c"),
    "food-101": (101, 25250, "accuracy", "513e7f6450e69cc6"),
    "gtsrb": (43, 12630, "accuracy", "953036bc5aedbe6b"),
    "hateful-memes": (2, 500, "roc_auc", "62a880e9ac288c0e"),
    "kitti-distance": (4, 711, "accuracy", "ecc16a4f92ee9fb1"),
    "mnist": (10, 10000, "accuracy", "29dd21f55e4611d4"),
    "oxford-flower-102": (102, 6149, "mean-per-class", "5429e1ef6e0e5aa3"),
    "oxford-iiit-pets": (37, 3669, "mean-per-class", "4a5177fdf86b7d17"),
    "patch-camelyon": (2, 32768, "accuracy", "27352df7ede1fd87"),
    "rendered-sst2": (2, 1821, "accuracy", "2e61aa7558046c2c"),
    "resisc45_clip": (45, 25200, "accuracy", "3c2177013901f0ef"),
    "stanford-cars": (196, 8041, "accuracy", "10033eecdd6946a9"),
    "voc-2007-classification": (20, 4952, "11point_mAP", "7d877f185c807bc5"),
}

# `code TAB name`, in index order: babel.Locale("zh").territories of Babel 2.18.0, kept here.
TERRITORIES = Path(__file__).with_name("cldr_territories.tsv")
# The English label is the short form of CLDR's name there, so the Chinese is CLDR's short form too.
SHORT_FORMS = {"HK": "香港", "MO": "澳门", "PS": "巴勒斯坦"}

# Model and brand names that Chinese texts write in Latin letters too. A word added here should be one.
KEPT_IN_LATIN = {
    *("Integra", "Type", "General", "Vantage", "Virage", "Supersports", "Rainier", "Cobalt", "Express"),
    *("Traverse", "Aspen", "Dakota", "Durango", "Magnum", "Talon", "Italia", "California", "Freestar"),
    *("Metro", "Acadia", "Canyon", "Savana", "Terrain", "Ascender", "Landaulet", "Tribute", "Cooper"),
    *("Juke", "Neon", "smart", "fortwo", "Model"),
}
DESIGNATION = re.compile(r"[A-Z]{1,4}|\w*\d\w*|BAe|xD")
LATIN_WORD = re.compile(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*")


def english_hash(key: str) -> str:
    rows = ["\t".join(names) for names in load_set(key).synonyms["en"]]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def all_chinese_names() -> list[tuple[str, str]]:
    return [(key, name) for key in ELEVATER for names in load_set(key).synonyms["zh"] for name in names]


def test_twenty_sets_with_1151_classes() -> None:
    assert len(ELEVATER) == 20
    assert sum(len(load_set(key).classes["en"]) for key in ELEVATER) == 1151


@pytest.mark.parametrize("key", ELEVATER)
def test_english_is_as_published(key: str) -> None:
    exam = load_set(key)
    assert exam.key == key
    assert (len(exam.classes["en"]), exam.num_test, exam.metric, english_hash(key)) == PUBLISHED[key]


@pytest.mark.parametrize("key", ELEVATER)
def test_chinese_goes_along_with_english(key: str) -> None:
    exam = load_set(key)
    assert [len(names) for names in exam.synonyms["zh"]] == [len(names) for names in exam.synonyms["en"]]
    assert set(exam.title) == set(exam.classes) == set(exam.templates) == {"en", "zh"}
    assert all(exam.title.values())


@pytest.mark.parametrize("key", ELEVATER)
def test_no_name_twice_unless_the_english_is(key: str) -> None:
    exam = load_set(key)
    repeats = {lang: sum(Counter(names).values()) - len(set(names)) for lang, names in exam.classes.items()}
    assert repeats["zh"] <= repeats["en"] == 0


def test_chinese_names_are_written_in_chinese() -> None:
    without = {name for _, name in all_chinese_names() if not re.search(r"[一-鿿]", name)}
    assert without == {*"0123456789", "ATR-42", "ATR-72"}


def test_latin_letters_stand_in_designations_only() -> None:
    words = {word for _, name in all_chinese_names() for word in LATIN_WORD.findall(name)}
    assert {word for word in words if not DESIGNATION.fullmatch(word)} == KEPT_IN_LATIN


def test_an_english_word_that_was_forgotten_is_found() -> None:
    assert [w for w in LATIN_WORD.findall("Ford野马 convertible 2007款") if not DESIGNATION.fullmatch(w)] == [
        "Ford",
        "convertible",
    ]


def test_no_half_width_marks_and_no_spaces_beside_chinese() -> None:
    for _, name in all_chinese_names():
        assert name == name.strip()
        assert not re.search(r"[,;:!?()\"']", name), name
        assert not re.search(r"[一-鿿]\s|\s[一-鿿]|\s\s", name), name


def test_all_characters_are_simplified() -> None:
    convert = opencc.OpenCC("t2s").convert
    texts = [name for _, name in all_chinese_names()]
    texts += [
        text for key in ELEVATER for text in (*load_set(key).templates["zh"], load_set(key).title["zh"])
    ]
    assert [text for text in texts if convert(text) != text] == []


def test_countries_are_named_as_in_cldr() -> None:
    rows = [line.split("\t") for line in TERRITORIES.read_text(encoding="utf-8").splitlines()]
    expected = tuple(SHORT_FORMS.get(code, name) for code, name in rows)
    assert load_set("country211").classes["zh"] == expected


@pytest.mark.parametrize("key", ELEVATER)
def test_templates_come_in_pairs_with_one_place(key: str) -> None:
    templates = load_set(key).templates
    assert len(templates["en"]) == len(templates["zh"]) >= 1
    for lang in templates:
        assert len(set(templates[lang])) == len(templates[lang])
        assert all(text.count("{}") == 1 for text in templates[lang])


def test_no_chinese_prompt_ends_with_two_full_stops() -> None:
    for exam in map(load_set, ELEVATER):
        templates, names = exam.templates["zh"], exam.classes["zh"]
        prompts = [template.replace("{}", name) for template in templates for name in names]
        assert not [prompt for prompt in prompts if prompt.endswith("。。")]


def test_generic_templates_are_pairs_too() -> None:
    assert len(GENERIC_TEMPLATES["en"]) == len(GENERIC_TEMPLATES["zh"])
    assert all(text.count("{}") == 1 for texts in GENERIC_TEMPLATES.values() for text in texts)


def test_near_chance_sets_are_marked() -> None:
    marked = {key for key in ELEVATER if load_set(key).near_chance}
    assert marked == {"hateful-memes", "kitti-distance", "patch-camelyon", "rendered-sst2"}


def test_fer_is_asked_with_the_first_name() -> None:
    exam = load_set("fer-2013")
    assert exam.classes["en"][3] == "happy"
    assert exam.synonyms["zh"][3] == ("高兴", "微笑")


def test_an_unknown_set_is_told_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="no ELEVATER set 'cifar10'.*cifar-10"):
        load_set("cifar10")


def test_a_changed_label_changes_the_code_version() -> None:
    folder = Path(labels.__file__).parent
    assert set(files_used("training.elevater")) >= set(folder.glob("*.toml"))
    assert {path.name for path in folder.glob("*.toml")} == set(labels.FILES.values())
