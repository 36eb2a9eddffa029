"""What a recipe says of benchmarks, looked at before anything runs: evaluate_student is hours later.

Folders and lists of names are looked at; their images only when they are evaluated. What lies in object
storage is known to be there by its fingerprint alone.
"""

from pathlib import Path

from components.prepare_teacher import COMMIT
from components.step import StepError
from infra.object_store import is_object
from infra.text_lines import read_lines, without_last_blanks
from training.exams.layout import NAMES, SUFFIXES
from training.exams.plain_names import names_of, plain_name


def require_benchmarks(values: dict) -> None:
    """Check evaluate_student's values, their paths made whole.

    Raises:
        StepError: a benchmark cannot be evaluated; the message says which and why.
    """
    _require_folder(values["exam"], "evaluate_student.exam")
    if not is_object(values["exam"]):
        for suffix in SUFFIXES.values():
            _require_names(Path(values["exam"]) / f"{NAMES}{suffix}.txt")
    for number, source in enumerate(values["exams"]):
        _require_source(source, f"evaluate_student.exams.{number}")


def _require_source(source: dict, dotted: str) -> None:
    for item in source["hub"]:
        if not COMMIT.fullmatch(item["revision"]):
            name = item["repository"]
            raise StepError(f"{dotted}: {name} is not pinned: give its repository's commit, 40 hex digits")
    if source["kind"] == "elevater":
        _require_elevater(source["sets"], dotted)
    labels, path = source.get("labels"), source.get("path")
    if labels:
        _require_folder(labels["path"], f"{dotted}.labels")
    if path:
        _require_folder(path, dotted)
    if path and not is_object(path) and not _holds_sets(Path(path)):
        raise StepError(f"{path} holds no data set, neither a folder nor a tar; {dotted}.path names it")


def _require_elevater(sets: list[str], dotted: str) -> None:
    from training.elevater import ELEVATER

    known = {plain_name(key) for key in ELEVATER}
    unknown = [name for name in sets if not known & set(names_of(name))]
    if unknown:
        raise StepError(f"{dotted}: ELEVATER has no set {unknown[0]!r}; it has {', '.join(ELEVATER)}")


def _require_folder(path: str, dotted: str) -> None:
    if not is_object(path) and not Path(path).is_dir():
        raise StepError(f"{path} is no folder; {dotted} names it")


def _holds_sets(folder: Path) -> bool:
    return any(item.is_dir() or item.suffix == ".tar" for item in folder.iterdir())


def _require_names(path: Path) -> None:
    """Where an empty line was dropped, every class after it would have another number."""
    try:
        lines = without_last_blanks(read_lines(path)) if path.is_file() else []
    except ValueError as error:
        raise StepError(str(error)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise StepError(f"line {number} of {path} is empty; each line is a class")
