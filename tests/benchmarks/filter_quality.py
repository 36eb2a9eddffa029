"""What the filters find of what was planted, and what it does to the student.

    python -m tests.benchmarks.filter_quality --root out

Takes the demo corpus below ROOT (built if it is not there), corrupts a copy of its lists and some of its
pictures, and runs the demo on it twice: as the recipe has it with every rule on, and with the rules off.
Prints precision and recall for each kind of harm, and the accuracy of both students. About 20 minutes on two
cores; `--rules` stops after precision and recall, in three. A row is found when it or one of its captions was
dropped for one of the reasons expected of its harm, and such a drop is right when the row was harmed in a way
of which that reason is expected. Of a picture and its copy either may be found.
"""

import argparse
import csv
import io
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image, ImageEnhance

from pipelines.demo import build_corpus
from pipelines.local import LocalRun, run_locally
from pipelines.recipes import demo

LANGUAGES = ("zh", "en")
JUNK = (
    "IMG_2041.JPG",
    "https://a.example/p?id=1",
    "点击查看大图",
    "click here",
    "call 010-6552 9988",
    "a@b.example",
)
ON = {"select_pairs.drop_share": 0.1, "select_pairs.near_duplicate_cosine": 0.995}
OFF = {
    "filter_pairs.zh.min_chars": 0,
    "filter_pairs.zh.max_repeats": 0,
    "filter_pairs.en.max_repeats": 0,
    "filter_pairs.image.min_side": 1,
    "filter_pairs.image.min_bytes": 0,
    "filter_pairs.image.min_sigma": 0,
    "filter_pairs.image.min_entropy": 0,
    "select_pairs.drop_share": 0,
    "select_pairs.near_duplicate_cosine": 0,
} | {
    f"filter_pairs.{lang}.allow_{what}": True
    for lang in LANGUAGES
    for what in ("contacts", "file_names", "boilerplate")
}

# Training says nothing of what was dropped before it.
SHORT = {"distill_student.phases.0.num_steps": 2, "distill_student.phases.1.num_steps": 2}


@dataclass
class Row:
    """A pair of the corpus: its picture's file and its captions."""

    image: Path
    captions: dict[str, str]
    harm: str = ""
    copy_of: str = ""


def shuffled(rows: list[Row], chance: random.Random) -> None:
    """Each row gets the captions of the next one."""
    captions = [row.captions for row in rows]
    for row, other in zip(rows, captions[1:] + captions[:1], strict=True):
        row.captions = other


def foreign(rows: list[Row], chance: random.Random) -> None:
    """Japanese in the Chinese list, Russian in the English one."""
    for row in rows:
        row.captions = {"zh": "これは写真です", "en": "это фотография"}


def junk(rows: list[Row], chance: random.Random) -> None:
    """File names, addresses, boilerplate."""
    for row in rows:
        row.captions = dict.fromkeys(LANGUAGES, chance.choice(JUNK))


def repeated(rows: list[Row], chance: random.Random) -> None:
    """One caption for many pictures."""
    for row in rows:
        row.captions = {"zh": "今日最佳照片", "en": "photo of the day"}


def blank(rows: list[Row], chance: random.Random) -> None:
    """A picture of one colour, each another."""
    for row in rows:
        Image.new("RGB", (72, 72), tuple(chance.randrange(256) for _ in range(3))).save(row.image)


def tiny(rows: list[Row], chance: random.Random) -> None:
    """A picture of a few pixels."""
    for row in rows:
        Image.open(row.image).resize((16, 16)).save(row.image)


def darkened(content: bytes) -> bytes:
    """The picture, on white as the crawl stores it, a little darker, in a file of its own."""
    picture, stream = Image.open(io.BytesIO(content)).convert("RGBA"), io.BytesIO()
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    ImageEnhance.Brightness(canvas.convert("RGB")).enhance(0.97).save(stream, "PNG")
    return stream.getvalue()


# How many rows are harmed, how, and by which reasons that shall be found.
HARMS: dict[str, tuple[int, Callable, tuple[str, ...]]] = {
    "shuffled captions": (200, shuffled, ("low_teacher_score",)),
    "another language": (100, foreign, ("wrong_language",)),
    "junk captions": (100, junk, ("file_name", "url", "boilerplate", "phone", "email", "wrong_language")),
    "repeated captions": (60, repeated, ("repeated",)),
    "blank pictures": (60, blank, ("image_blank", "image_low_entropy", "image_too_few_bytes")),
    "tiny pictures": (60, tiny, ("image_too_small", "image_too_few_bytes")),
}
COPIES: dict[str, tuple[int, Callable[[bytes], bytes], tuple[str, ...]]] = {
    "copied files": (100, bytes, ("duplicate_image",)),
    "near-duplicates": (100, darkened, ("near_duplicate",)),
}


def read_rows(corpus: Path, place: Path) -> list[Row]:
    """The corpus' pairs with both captions, pictures copied to `place`."""
    captions: dict[str, dict[str, str]] = {}
    for lang in LANGUAGES:
        with (corpus / f"pairs.{lang}.csv").open() as file:
            for row in csv.DictReader(file):
                captions.setdefault(row["url"].rpartition("/")[2], {})[lang] = row["caption"]
    rows = []
    for name, found in sorted(captions.items()):
        image = corpus / "images" / name
        if set(found) == set(LANGUAGES) and all(found.values()) and image.exists():
            (place / name).write_bytes(image.read_bytes())
            rows.append(Row(place / name, found))
    return rows


def corrupt(rows: list[Row], seed: int = 0) -> list[Row]:
    """The rows with disjoint shares of them harmed, and copies added."""
    chance = random.Random(seed)
    chance.shuffle(rows)
    left, added = iter(rows), []
    for harm, (number, work, _) in HARMS.items():
        chosen = [next(left) for _ in range(number)]
        work(chosen, chance)
        for row in chosen:
            row.harm = harm
    for harm, (number, change, _) in COPIES.items():
        for count in range(number):
            source = next(left)
            image = source.image.with_name(f"z-{harm.split()[0]}-{count}.png")
            image.write_bytes(change(source.image.read_bytes()))
            added.append(Row(image, source.captions, harm, copy_of=source.image.name))
    return rows + added


def write_lists(rows: list[Row], place: Path, port: int) -> list[dict]:
    """A list a language; what `download_pairs.lists` says of them."""
    for lang in LANGUAGES:
        with (place / f"pairs.{lang}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["url", "caption"])
            for row in rows:
                address = f"http://127.0.0.1:{port}/{place.name}/images/{row.image.name}"
                writer.writerow([address, row.captions[lang]])
    return [{"path": str(place / f"pairs.{lang}.csv"), "layout": lang} for lang in LANGUAGES]


def reasons_by_image(run: LocalRun) -> dict[str, set[str]]:
    """By picture, all reasons for which its row or a caption of it was dropped."""
    found: dict[str, set[str]] = {}
    tables = {
        Path(run.places["download_pairs"]) / "lists_dropped": None,
        Path(run.places["filter_pairs"]) / "dropped.parquet": None,
    }
    for path in tables:
        for row in pq.read_table(path, columns=["url", "reason"]).to_pylist():
            found.setdefault((row["url"] or "").rpartition("/")[2], set()).add(row["reason"])
    kept = pq.read_table(
        Path(run.places["filter_pairs"]) / "kept.parquet", columns=["key", "url"]
    ).to_pylist()
    names = {row["key"]: row["url"].rpartition("/")[2] for row in kept}
    selected = Path(run.places["select_pairs"])
    for row in pq.read_table(selected / "dropped.parquet", columns=["key", "reason"]).to_pylist():
        found.setdefault(names[row["key"]], set()).add(row["reason"])
    # Every row has both captions: one that is not used was scored too low.
    for row in pq.read_table(selected / "selected.parquet").to_pylist():
        if not (row["use_zh"] and row["use_en"]):
            found.setdefault(names[row["key"]], set()).add("low_teacher_score")
    return found


def quality(rows: list[Row], found: dict[str, set[str]]) -> list[tuple[str, int, float, float]]:
    """(harm, number planted, precision, recall) of each kind."""
    kinds = {**HARMS, **COPIES}
    harms = {row.image.name: row.harm for row in rows}
    # Either of a picture and its copy may stay.
    harms |= {row.copy_of: row.harm for row in rows if row.copy_of}
    table = []
    for harm, (number, _, reasons) in kinds.items():
        hits = {name: wanted for name in harms if (wanted := _among(found.get(name, set()), reasons))}
        right = sum(
            bool(_among(wanted, kinds.get(harms[name], (0, 0, ()))[2])) for name, wanted in hits.items()
        )
        planted = [{row.image.name, row.copy_of} for row in rows if row.harm == harm]
        recalled = sum(not names.isdisjoint(hits) for names in planted)
        table.append((harm, number, right / max(1, len(hits)), recalled / number))
    return table


def _among(found: set[str], reasons: tuple[str, ...]) -> set[str]:
    """Those reasons, with or without a language before them, that were expected."""
    return {reason for reason in found if reason.endswith(reasons)}


def main() -> None:
    """Run both, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("out/filter_quality"))
    parser.add_argument(
        "--rules", action="store_true", help="precision and recall alone, with a tiny student"
    )
    options = parser.parse_args()
    root, recipe = options.root.resolve(), demo()
    build_corpus(recipe.corpus, root / "corpus")
    place = root / "corpus" / "corrupted"
    (place / "images").mkdir(parents=True, exist_ok=True)
    rows = corrupt(read_rows(root / "corpus", place / "images"))
    lists = {"download_pairs.lists": write_lists(rows, place, recipe.corpus.port)}
    on = run_locally("demo", {**lists, **ON, **(SHORT if options.rules else {})}, str(root))
    print("\n| planted | rows | precision | recall |\n|---|---|---|---|")
    for harm, number, precision, recall in quality(rows, reasons_by_image(on)):
        print(f"| {harm} | {number} | {precision:.2f} | {recall:.2f} |")
    if not options.rules:
        off = run_locally("demo", {**lists, **OFF}, str(root))
        print_accuracies({"on": on, "off": off})


def print_accuracies(runs: dict[str, LocalRun]) -> None:
    """Top-1 of teacher and student, by run."""
    for name, run in runs.items():
        figures = run.records["evaluate_student"]["facts"]["models"]
        for model, lang in itertools.product(("teacher", "student"), LANGUAGES):
            print(f"figure {model}_top1_{lang}_filters_{name} {figures[model][lang]['top1']:.4f}")


if __name__ == "__main__":
    main()
