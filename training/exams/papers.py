"""What each set asks: ELEVATER's from training/elevater, other sets' from the files that lie beside them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from training.exams.class_folders import match_folders
from training.exams.classify import Paper
from training.exams.folders import (
    NAMES,
    SUFFIXES,
    TEMPLATES,
    ExamError,
    PictureSet,
    read_lines,
    read_names,
    read_templates,
)

KINDS = (".txt", ".json")


def elevater_paper(key: str, languages: tuple[str, ...], labels: Path | None) -> Paper:
    """One of ELEVATER's sets, with class names and templates from the folder `labels` where it has them.

    Raises:
        ExamError: a file there does not fit.
    """
    from training import elevater

    known = elevater.load_set(key)
    places = label_places(labels, known.key)
    num_classes = len(known.classes["en"])

    def names_in(path: Path) -> tuple[str, ...]:
        return elevater.read_class_names(path, num_classes)

    def templates_in(path: Path) -> tuple[str, ...]:
        return elevater.read_templates(path, known.key)

    return Paper(
        key=known.key,
        metric=known.metric,
        classes={
            lang: given(places, NAMES, lang, names_in, KINDS) or known.classes[lang] for lang in languages
        },
        templates={
            lang: marked(given(places, TEMPLATES, lang, templates_in, KINDS) or known.templates[lang])
            for lang in languages
        },
        known_as=known.synonyms["en"],
        num_test=known.num_test,
        near_chance=known.near_chance,
    )


def own_paper(name: str, pictures: PictureSet, languages: tuple[str, ...], labels: Path | None) -> Paper:
    """A set with its own class names, in those of the languages that it has them in.

    Labels are class numbers; the names are in their order. Class folders without a list of names in the set
    itself are matched with the names that are given (training/exams/class_folders.py). Where it has no
    templates, the project's generic ones are asked with.

    Raises:
        ExamError: it has class names in no language.
    """
    from training.elevater import GENERIC_TEMPLATES

    places = [*label_places(labels, name), pictures.folder]
    classes = {lang: given(places, NAMES, lang, read_names) for lang in languages}
    known_as, matched = _known_as(pictures, [names for names in classes.values() if names])
    # Folders that are numbers, or Chinese, are no English names.
    if "en" in languages and not matched:
        classes["en"] = classes["en"] or pictures.class_names
    there = [lang for lang in languages if classes[lang]]
    if not there:
        raise ExamError(f"{pictures.folder} needs {NAMES}.txt, or {NAMES}_zh.txt for Chinese")
    templates = {lang: given(places, TEMPLATES, lang, read_templates) for lang in there}
    kind = (read_lines(pictures.folder / "dataset_type.txt") or ("",))[0].lower()
    return Paper(
        key=name,
        metric="11point_mAP" if kind == "multilabel" else "accuracy",
        classes={lang: classes[lang] for lang in there},
        templates={lang: templates[lang] or marked(GENERIC_TEMPLATES[lang]) for lang in there},
        known_as=known_as,
    )


def _known_as(pictures: PictureSet, given_names: list[tuple[str, ...]]) -> tuple[tuple[str, ...], bool]:
    """(the names to match class folders with, whether they match); none where labels are numbers already."""
    if not pictures.named_by_folders or not given_names:
        return (), False
    folders = list(pictures.class_names or ())
    found = [names for names in given_names if match_folders(folders, names) is not None]
    return (found or given_names)[0], bool(found)


def label_places(labels: Path | None, name: str) -> list[Path]:
    """Where to look for class names and templates first, the set's own folder before what goes for all."""
    return [] if labels is None else [labels / name, labels]


def given(places: list[Path], file: str, lang: str, read: Callable, kinds: tuple[str, ...] = (".txt",)):
    """What `read` makes of the first of a language's files that there is, else None.

    Raises:
        ExamError: that file does not fit.
    """
    paths = [place / f"{file}{SUFFIXES[lang]}{kind}" for place in places for kind in kinds]
    path = next((path for path in paths if path.is_file()), None)
    try:
        return read(path) if path else None
    except ValueError as error:
        raise ExamError(str(error)) from error


def marked(templates: Iterable[str]) -> tuple[str, ...]:
    """Templates with `{c}` for the class name, where they have `{}`."""
    return tuple(template.replace("{}", "{c}") for template in templates)
