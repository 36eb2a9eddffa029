"""Models sit published exams: every set that is there, and the name and reason of each that is not."""

from pathlib import Path

from infra.console import say
from infra.file_names import is_utf8, shown_name
from training.exams.classify import examine_set
from training.exams.finding import find_set, list_sets, names_of
from training.exams.folders import ExamError, open_set
from training.exams.pair_sets import examine_pairs
from training.exams.papers import elevater_paper, own_paper
from training.exams.plain_names import plain_name
from training.exams.results import averages, lines
from training.exams.settings import ExamSource
from training.teacher import Teacher

MISSING = "missing"


def sit_exams(sources: tuple[ExamSource, ...], encoders: dict[str, Teacher], step: str) -> list[dict]:
    """One result an exam, and a table of each on the console.

    Args:
        encoders: models by name.
        step: who says how far it is.
    """
    results = []
    for source in sources:
        chosen = {name: encoder for name, encoder in encoders.items() if name in source.models}
        results.append(sit_exam(source, chosen, step))
        for line in (f"exam {results[-1]['name']}", *lines(results[-1])):
            say(step, line)
    return results


def sit_exam(source: ExamSource, encoders: dict[str, Teacher], step: str) -> dict:
    """The exam's name, kind, `num_asked`, `sets`, `skipped` with reasons, and `averages`."""
    asked = sets_asked(source)
    sets, skipped = [], []
    for name in asked:
        try:
            found = _sit_set(source, name, encoders, step, only=len(asked) == 1)
        except ExamError as error:
            skipped.append({"set": shown_name(name), "reason": shown_name(str(error))})
            continue
        if found is None:
            skipped.append({"set": shown_name(name), "reason": MISSING})
        else:
            sets.append(found)
    return {
        "name": source.name or (Path(source.path).name if source.path else source.kind),
        "kind": source.kind,
        "num_asked": len(asked),
        "sets": sets,
        "skipped": skipped,
        "averages": averages(sets),
    }


def sets_asked(source: ExamSource) -> list[str]:
    """The names of the exam's sets, in order.

    Raises:
        ExamError: ELEVATER has no set of a name that is asked for.
    """
    if source.kind != "elevater":
        return list_sets(source)
    from training.elevater import ELEVATER

    wanted = [set(names_of(name)) for name in source.sets]
    known = [key for key in ELEVATER if not wanted or any(plain_name(key) in names for names in wanted)]
    if source.sets and len(known) != len(source.sets):
        raise ExamError(f"ELEVATER's sets are {', '.join(ELEVATER)}; not all of {', '.join(source.sets)} are")
    return known


def _sit_set(
    source: ExamSource, name: str, encoders: dict[str, Teacher], step: str, only: bool
) -> dict | None:
    """The result of a set, None where it is missing. Raises ExamError where it cannot be sat."""
    if not is_utf8(name):
        raise ExamError("the name of its folder is not UTF-8: rename it, for example by convmv")
    folder = find_set(source, name, only)
    if folder is None or not folder.is_dir():
        return None
    if source.kind == "retrieval":
        return examine_pairs(folder, name, source.languages, encoders, step)
    pictures, labels = open_set(folder), Path(source.labels.path) if source.labels else None
    if source.kind == "elevater":
        return examine_set(pictures, elevater_paper(name, source.languages, labels), encoders, step)
    paper = own_paper(name, pictures, source.languages, labels)
    return examine_set(pictures, paper, encoders, step)
