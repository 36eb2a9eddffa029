"""What each set asks: ELEVATER's from training/elevater, other sets' from the files that lie beside them."""

from pathlib import Path

from training.exams.classify import Paper
from training.exams.folders import NAMES, SUFFIXES, TEMPLATES, ExamError, PictureSet, read_lines, read_names
from training.exams.folders import read_templates as read_template_file


def elevater_paper(key: str, languages: tuple[str, ...], labels: Path | None) -> Paper:
    """One of ELEVATER's sets, with class names and templates from the folder `labels` where it has them.

    Raises:
        ExamError: a file there does not fit.
    """
    from training.elevater import load_set

    known = load_set(key)
    places = _label_places(labels, known.key)
    return Paper(
        key=known.key,
        metric=known.metric,
        classes={lang: given_names(places, lang) or tuple(known.classes[lang]) for lang in languages},
        templates={lang: given_templates(places, lang) or tuple(known.templates[lang]) for lang in languages},
        known_as=tuple(known.classes["en"]),
        num_test=known.num_test,
        near_chance=known.near_chance,
    )


def own_paper(name: str, pictures: PictureSet, languages: tuple[str, ...], labels: Path | None) -> Paper:
    """A set with its own class names and templates, in those of the languages that it has both in.

    Labels are class numbers; the names are in their order.

    Raises:
        ExamError: it has them in no language.
    """
    places = [*_label_places(labels, name), pictures.folder]
    classes = {lang: given_names(places, lang) for lang in languages}
    if "en" in languages:
        classes["en"] = classes["en"] or pictures.class_names
    templates = {lang: given_templates(places, lang) for lang in languages}
    complete = [lang for lang in languages if classes[lang] and templates[lang]]
    if not complete:
        raise ExamError(f"{pictures.folder} needs {NAMES}.txt and {TEMPLATES}.txt (with _zh for Chinese)")
    kind = (read_lines(pictures.folder / "dataset_type.txt") or ("",))[0].lower()
    return Paper(
        key=name,
        metric="11point_mAP" if kind == "multilabel" else "accuracy",
        classes={lang: classes[lang] for lang in complete},
        templates={lang: templates[lang] for lang in complete},
    )


def _label_places(labels: Path | None, name: str) -> list[Path]:
    """Where to look for class names and templates first, the set's own folder before what goes for all."""
    return [] if labels is None else [labels / name, labels]


def given_names(places: list[Path], lang: str) -> tuple[str, ...] | None:
    """Class names in a language from the first of the folders that has them."""
    found = (read_names(place / f"{NAMES}{SUFFIXES[lang]}.txt") for place in places)
    return next((names for names in found if names), None)


def given_templates(places: list[Path], lang: str) -> tuple[str, ...] | None:
    """Templates in a language from the first of the folders that has them."""
    found = (read_template_file(place / f"{TEMPLATES}{SUFFIXES[lang]}.txt") for place in places)
    return next((templates for templates in found if templates), None)
