"""prepare_teacher from directories: one teacher, an ensemble of two classes, and what is refused at once."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "training"))
from test_hf_teacher import make_chinese_clip, make_siglip

from components.data_version import Known
from components.prepare_teacher import PrepareTeacher, needed_files, prepare, require_pinned
from components.step import StepError, build
from infra.store import write_json
from training.earlier import teacher_identity
from training.settings import TeacherMember
from training.teacher import load_teacher


@pytest.mark.parametrize("revision", ["", "main", "v1.0", "abc123", "0" * 39, "G" * 40, "0" * 41])
def test_a_hub_teacher_is_pinned_by_a_commit(revision):
    """A branch may be another model tomorrow."""
    for config in (
        PrepareTeacher("hf:a/b", revision),
        PrepareTeacher("ensemble:", members=(TeacherMember("hf:a/b", revision),)),
    ):
        with pytest.raises(StepError, match="is not pinned: give the commit"):
            require_pinned(config)
    require_pinned(PrepareTeacher("hf:a/b", "0123456789abcdef" * 2 + "01234567"))


@pytest.mark.parametrize(
    "source, members, reads_pairs",
    [
        ("lit:", (), True),
        ("hf:a/b", (), False),
        ("ensemble:", ("hf:a/b", "lit:"), True),
        ("ensemble:", ("hf:a/b", "hf:c/d"), False),
    ],
)
def test_only_a_teacher_that_is_tuned_reads_the_pairs(source, members, reads_pairs):
    config = PrepareTeacher(source, members=tuple(map(TeacherMember, members)))
    assert needed_files(asdict(config)) == ({} if reads_pairs else {"raw": (), "pairs": ()})
    grown = replace(config, known=Known(version=1, place="before"))
    assert needed_files(asdict(grown)) == {"raw": (), "pairs": ()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[str]:
    """Directories of two models, as a hub would have them."""
    place = tmp_path_factory.mktemp("models")
    for make in (make_chinese_clip, make_siglip):
        for part in make():
            part.save_pretrained(place / make.__name__)
    return [str(place / make.__name__) for make in (make_chinese_clip, make_siglip)]


def prepared(config: PrepareTeacher, place: Path) -> dict:
    place.mkdir(parents=True)
    return prepare(config, place, {}, place, place)


def test_one_teacher_from_a_directory(sources, tmp_path):
    facts = prepared(PrepareTeacher(f"hf:{sources[0]}"), tmp_path / "teacher")
    assert facts == {"source": f"hf:{sources[0]}", "described": sources[0]}
    assert load_teacher(tmp_path / "teacher").width == 24


def test_an_ensemble_of_two_classes(sources, tmp_path):
    members = tuple(TeacherMember(f"hf:{source}", weight=at + 1) for at, source in enumerate(sources))
    config = PrepareTeacher("ensemble:", members=members)
    assert build(PrepareTeacher, asdict(config)) == config
    facts = prepared(config, tmp_path / "both")
    assert facts["described"] == f"{sources[0]} beside {sources[1]}"
    both = load_teacher(tmp_path / "both")
    for at, source in enumerate(sources):
        prepared(PrepareTeacher(f"hf:{source}"), tmp_path / f"alone{at}")
    images, texts = [Image.new("RGB", (40, 30), "red")], ["红", "a red picture"]
    alone = [load_teacher(tmp_path / f"alone{at}") for at in (0, 1)]
    expected = np.average([one.embed_images(images) @ one.embed_texts(texts).T for one in alone], 0, [1, 2])
    assert both.embed_images(images) @ both.embed_texts(texts).T == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"source": "ensemble:"}, "the teacher ensemble: has 0 members"),
        ({"source": "lit:", "members": (TeacherMember("lit:"),)}, "the teacher lit: has 1 members"),
        ({"source": "lit:", "precision": "int8"}, "precision is float32 or bfloat16, not 'int8'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PrepareTeacher(**settings)


def test_a_member_without_a_share_is_refused():
    with pytest.raises(ValueError, match="the weight of lit: is 0"):
        TeacherMember("lit:", weight=0)


@pytest.mark.parametrize("source", ["oracle:", "AltCLIP"])
def test_an_unknown_kind_is_refused(source, tmp_path):
    with pytest.raises(StepError, match=f"unknown teacher '{source}'"):
        prepare(PrepareTeacher(source), tmp_path, {}, tmp_path, tmp_path)


def test_every_member_from_a_hub_must_be_pinned():
    members = (TeacherMember("hf:BAAI/AltCLIP", "a" * 40), TeacherMember("hf:google/siglip2"))
    with pytest.raises(StepError, match=r"google/siglip2 .* prepare_teacher\.members\.1\.revision=COMMIT"):
        require_pinned(PrepareTeacher("ensemble:", members=members))


def test_a_known_teacher_stays(sources, tmp_path):
    first, config = tmp_path / "first", PrepareTeacher(f"hf:{sources[0]}")
    facts = prepared(config, first)
    write_json(first / "done.json", {"step": "prepare_teacher"})
    again = replace(config, known=Known(3, str(first)))
    assert prepared(again, tmp_path / "second") == {**facts, "kept_from_version": 3}
    assert teacher_identity(tmp_path / "second") == teacher_identity(first)
    assert load_teacher(tmp_path / "second").width == 24
    assert not (tmp_path / "second" / "done.json").exists()
