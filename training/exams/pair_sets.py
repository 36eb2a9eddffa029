"""Retrieval sets: pictures with captions in Chinese, English or both, and what is asked of them.

A set is a folder of tars, `test/N.tar` or `N.tar`, of samples with a picture and its captions: `zh.txt` and
`en.txt`, or one `txt` as clip_benchmark writes it (a caption a line), or a `json` with captions by language,
there itself or under `captions`: a text, a list of them, or `{"caption": [...]}` as XM3600 has it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from infra.console import track
from infra.text_lines import decode_lines
from training.exams.embedding import embed_pictures, embed_texts
from training.exams.folders import ExamError, find_tars, picture_in, read_tars
from training.exams.plain_names import plain_name
from training.exams.retrieval import recalls
from training.exams.settings import LANGUAGES
from training.teacher import Teacher


@dataclass(frozen=True)
class PairSet:
    """What is known of a set by its name.

    `text_language` is the language of a plain `txt`. With `merge_texts` equal captions are one query that
    has several right pictures, as MUGE's search words have. `num_images` is the published number.
    """

    text_language: str = ""
    merge_texts: bool = False
    num_images: int | None = None


NAMED = {
    "flickr30k-cn": PairSet("zh", num_images=1_000),
    "coco-cn": PairSet("zh", num_images=1_000),
    "muge": PairSet("zh", merge_texts=True),
    "xm3600": PairSet(num_images=3_600),
    "crossmodal3600": PairSet(num_images=3_600),
}
_BY_PLAIN_NAME = {plain_name(name): known for name, known in NAMED.items()}


@dataclass
class Captions:
    """The texts of a language, and which picture each belongs to."""

    merge: bool
    texts: list[str] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, image: int, text: str) -> None:
        """One more caption of a picture."""
        number = self._numbers.get(text) if self.merge else None
        if number is None:
            number = len(self.texts)
            self.texts.append(text)
            if self.merge:
                self._numbers[text] = number
        self.pairs.append((image, number))


def examine_pairs(
    folder: Path, name: str, languages: tuple[str, ...], encoders: dict[str, Teacher], step: str
) -> dict:
    """The set's result: what was measured, and recalls by model and language.

    Raises:
        ExamError: it has no tars, no picture that can be read, or captions in none of the languages.
    """
    known = known_set(name, languages)
    captions = {lang: Captions(known.merge_texts) for lang in languages}
    parts: dict[str, list] = {model: [] for model in encoders}
    num_images = num_unreadable = 0
    with track(step, total=known.num_images, desc=name, unit=" pictures") as bar:
        for vectors, found, num_left_out in embed_pictures(encoders, read_pairs(folder, known.text_language)):
            for number, own in enumerate(found, start=num_images):
                _note(captions, number, own)
            for model, rows in vectors.items():
                parts[model].append(rows)
            num_images += len(found)
            num_unreadable += num_left_out
            bar.update(len(found) + num_left_out)
    there = {lang: own for lang, own in captions.items() if own.pairs}
    if not there:
        raise ExamError(f"{folder} has no readable picture with a caption in {' or '.join(languages)}")
    return {
        "set": name,
        "near_chance": False,
        "num_images": num_images,
        "num_expected": known.num_images,
        "num_unreadable": num_unreadable,
        "num_texts": {lang: len(own.texts) for lang, own in there.items()},
        "figures": {
            model: _figures(np.concatenate(parts[model]), there, encoder, step)
            for model, encoder in encoders.items()
        },
    }


def known_set(name: str, languages: tuple[str, ...]) -> PairSet:
    """What is known of a set; of one that is not, a plain `txt` is in the exam's only language."""
    alone = languages[0] if len(languages) == 1 else ""
    return _BY_PLAIN_NAME.get(plain_name(name)) or PairSet(alone)


def _note(captions: dict[str, Captions], image: int, own: dict[str, list[str]]) -> None:
    for lang, texts in own.items():
        if lang in captions:
            # A caption that a picture has twice is one.
            for text in dict.fromkeys(texts):
                captions[lang].add(image, text)


def _figures(
    images: np.ndarray, captions: dict[str, Captions], encoder: Teacher, step: str
) -> dict[str, dict]:
    """Recalls by language, the mean recall as `figure` besides."""
    found = {}
    for lang, own in captions.items():
        recall = recalls(images, embed_texts(encoder, own.texts), np.array(own.pairs), step)
        found[lang] = {"figure": recall["mean_recall"], **recall}
    return found


def read_pairs(folder: Path, text_language: str) -> Iterator[tuple[bytes | None, dict[str, list[str]]]]:
    """(bytes of an image file, captions by language) of each sample.

    Raises:
        ExamError: there are no tars, or a sample's captions cannot be read.
    """
    tars = find_tars(folder)
    if not tars:
        raise ExamError(f"{folder} holds no tars of pictures with captions")
    for sample in read_tars(tars):
        try:
            yield picture_in(sample), captions_in(sample, text_language)
        except ExamError:
            raise
        except (ValueError, RecursionError) as error:
            raise ExamError(f"captions of {sample['__key__']} below {folder}: {error}") from error


def captions_in(sample: dict, text_language: str) -> dict[str, list[str]]:
    """A sample's captions by language, empty ones left out.

    Raises:
        ExamError: it has a plain `txt`, and nothing says in which language.
    """
    found: dict[str, list[str]] = {lang: [] for lang in LANGUAGES}
    for lang in LANGUAGES:
        found[lang] += decode_lines(sample.get(f"{lang}.txt", b""), f"{lang}.txt")
    if "txt" in sample:
        if not text_language:
            raise ExamError(
                f"nothing says which language the .txt of {sample['__key__']} is in: sit one language"
            )
        found[text_language] += decode_lines(sample["txt"], "txt")
    record = json.loads(sample["json"]) if "json" in sample else {}
    by_language = record.get("captions", record) if isinstance(record, dict) else {}
    for lang in LANGUAGES:
        found[lang] += _texts_of(by_language.get(lang) if isinstance(by_language, dict) else None)
    return {lang: kept for lang, texts in found.items() if (kept := [t for t in map(str.strip, texts) if t])}


def _texts_of(value) -> list[str]:
    """Texts in the forms that a json has them in."""
    if isinstance(value, dict):
        value = value.get("caption")
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
