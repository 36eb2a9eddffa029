"""Towers by the name of their model: the project's students and those they are measured beside."""

from collections.abc import Callable

from pipelines.students import STUDENTS
from tests.benchmarks.towers import altclip, chinese_clip, clip_vit, mobileclip, students
from tests.benchmarks.towers.tower import Tower

BASELINES: dict[str, Callable[[str], Tower]] = {
    "altclip": altclip.build,
    "chinese_clip_rn50": chinese_clip.build_rn50,
    "chinese_clip_vit_b16": chinese_clip.build_vit_b16,
    "clip_vit_b32": clip_vit.build_vit_b32,
    "mobileclip_s0": mobileclip.build_s0,
}


def build_named(name: str, kind: str) -> Tower:
    """The tower `image` or `text` of a student or a baseline, with random weights, ready to run."""
    return students.build(name, kind) if name in STUDENTS else BASELINES[name](kind)
