"""A step at its place: settings restored, work done once, failures told in one line."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components.reference import Reference, read_reference
from components.step import StepError, build, explain, run_step
from infra.object_store import StoreError
from infra.store import DONE, read_done
from tests.artifacts import new_artifact, reference_to


@dataclass(frozen=True)
class Leaf:
    """The inner value."""

    name: str
    rate: float = 0.5
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    """A value with everything that a recipe's values have."""

    leaf: Leaf
    leaves: tuple[Leaf, ...] = ()
    maybe: Leaf | None = None
    limit: int | None = None
    terms: dict = field(default_factory=dict)
    seed: int = 0


TREES = [
    Tree(Leaf("a")),
    Tree(Leaf("a", rate=2.0, tags=("x", "y"))),
    Tree(Leaf("a"), leaves=(Leaf("b"), Leaf("c", tags=("z",)))),
    Tree(Leaf("a"), maybe=Leaf("d", rate=1.0), limit=3),
    Tree(Leaf("a"), terms={"contrastive": 0.5, "strides": [1, 2]}, seed=7),
]


@pytest.mark.parametrize("tree", TREES)
def test_build_restores_what_json_has(tree):
    assert build(Tree, json.loads(json.dumps(dataclasses.asdict(tree)))) == tree


@pytest.mark.parametrize("tree", TREES)
def test_build_restores_what_asdict_makes(tree):
    assert build(Tree, dataclasses.asdict(tree)) == tree


def test_build_makes_a_whole_number_a_float_where_the_class_has_one():
    assert isinstance(build(Leaf, {"name": "a", "rate": 2}).rate, float)
    assert isinstance(build(Tree, {"leaf": {"name": "a"}, "seed": 2}).seed, int)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"leaf": {"name": "a"}, "sed": 1}, "Tree has no sed; it has leaf, leaves"),
        ({"leaf": {"nam": "a", "x": 1}}, "Leaf has no nam, x; it has name, rate"),
        ({"leaf": {"name": "a"}, "leaves": [{"nam": "b"}]}, "Leaf has no nam"),
        ({"leaf": {"name": "a"}, "maybe": {"nam": "b"}}, "Leaf has no nam"),
    ],
)
def test_build_names_what_it_does_not_know(values, message):
    with pytest.raises(ValueError, match=message):
        build(Tree, values)


@dataclass(frozen=True)
class CountLetters:
    """A toy step's settings."""

    letter: str
    weight: float = 1.0


def count_letters(config: CountLetters, place: Path, engines: dict, words: Path) -> dict:
    """A toy step: counts a letter, and appends to a log so that a second run would show."""
    with (place / "runs.txt").open("a") as stream:
        stream.write(f"{engines['spark_master']}\n")
    return {"count": words.read_text().count(config.letter) * config.weight}


@pytest.fixture
def count(tmp_path):
    """Runs the toy step; gives the reference that it has written."""
    (tmp_path / "words").write_text("banana")

    def run(function=count_letters, *, letter="a", code="c1", words="words", engine="local[2]") -> Reference:
        config = {
            "values": {"letter": letter, "weight": 2.0},
            "code": code,
            "root": str(tmp_path / "store"),
            "engines": {"spark_master": engine},
        }
        (tmp_path / words).write_text("banana")
        output = new_artifact(tmp_path)
        address = output.uri
        inputs = {"words": reference_to(tmp_path / words, tmp_path)}
        run_step("count_letters", function, CountLetters, config, inputs, output)
        assert output.uri == address
        reference = read_reference(output)
        assert output.metadata == {
            "step": "count_letters",
            "address": reference.address,
            "identity": reference.identity,
            "reused": reference.reused,
        }
        return reference

    return run


def runs_at(reference: Reference) -> list[str]:
    """The runs that a result's place has seen."""
    return (Path(reference.address) / "runs.txt").read_text().splitlines()


def test_a_step_records_what_it_did(count, tmp_path):
    output = count()
    assert Path(output.address).parent == tmp_path / "store" / "count_letters"
    record = read_done(Path(output.address))
    assert output == Reference("count_letters", output.address, Path(output.address).name, 0, {})
    assert (record["step"], record["facts"]) == ("count_letters", {"count": 6})
    assert record["seconds"] >= 0
    assert record["peak_megabytes"] > 1


def test_a_finished_step_is_not_run_again(count, capsys):
    first, second = count(), count()
    assert second == dataclasses.replace(first, reused=1)
    assert len(runs_at(first)) == 1
    assert "already done, nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"letter": "b"}, {"words": "other"}, {"code": "c2"}])
def test_a_change_gives_a_new_place(count, change):
    first, second = count(), count(**change)
    assert second.address != first.address
    assert not second.reused


def test_other_engines_give_the_same_place(count):
    first, second = count(), count(engine="spark://cluster:7077")
    assert second.address == first.address
    assert runs_at(second) == ["local[2]"]


def test_numbers_as_kfp_gives_them_give_the_same_place(tmp_path):
    uris = set()
    for size in (64, 64.0):
        config = {
            "values": {"letter": "a", "weight": size},
            "code": "c",
            "root": str(tmp_path),
            "engines": {},
        }
        output = new_artifact(tmp_path)
        run_step(
            "toy",
            lambda settings, place, engines: {"weight": settings.weight},
            CountLetters,
            config,
            {},
            output,
        )
        uris.add(read_reference(output).address)
    assert len(uris) == 1


def failing(error: Exception):
    """A toy step that leaves half of its work behind and fails."""

    def work(config, place, engines, words):
        (place / "runs.txt").write_text("half\n")
        raise error

    return work


@pytest.mark.parametrize(
    "error, reason, traceback",
    [
        (ValueError("no such letter"), "ValueError: no such letter (the full log has the details)", True),
        (StepError("the list x.csv is not there"), "the list x.csv is not there", False),
        (StoreError("s3://b/x: the secret key is wrong"), "s3://b/x: the secret key is wrong", False),
        (OSError(28, "No space left on device"), "the disk is full; free some space and run again", True),
    ],
)
def test_a_failure_ends_the_process_with_its_reason_last(count, capsys, error, reason, traceback):
    with pytest.raises(SystemExit) as end:
        count(failing(error))
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert out.splitlines()[-1].startswith(f"[count_letters] failed: {reason}")
    assert ("Traceback" in err) is traceback


def test_a_failed_step_goes_on_in_its_place(count, tmp_path):
    with pytest.raises(SystemExit):
        count(failing(ValueError("first time")))
    (place,) = (tmp_path / "store" / "count_letters").iterdir()
    assert read_done(place) is None
    output = count()
    assert (output.address, output.reused) == (str(place), 0)
    assert runs_at(output) == ["half", "local[2]"]
    assert sorted(item.name for item in place.iterdir()) == [DONE, "runs.txt"]


@pytest.mark.parametrize(
    "error, line",
    [
        (KeyError("zh"), "KeyError: 'zh' (the full log has the details)"),
        (RuntimeError(), "RuntimeError: no message (the full log has the details)"),
        (
            RuntimeError("worker\n  Traceback\n  cause \n"),
            "RuntimeError: cause (the full log has the details)",
        ),
        (
            OSError(13, "Permission denied"),
            "PermissionError: [Errno 13] Permission denied (the full log has the details)",
        ),
    ],
)
def test_explain_is_one_line(error, line):
    assert explain(error) == line


def test_explain_cuts_a_long_line():
    assert len(explain(ValueError("x" * 10_000))) < 400
