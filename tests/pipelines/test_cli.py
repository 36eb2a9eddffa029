"""The command line: help, overrides, and failures that are one line without a traceback."""

import json

import pytest
import yaml

from pipelines.recipes import RECIPES
from pipelines.students import STUDENTS


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--help"], ["run", "recipe", "students", "compile", "try"]),
        (["run", "--help"], ["--root", "--recipe", "--set NAME=VALUE", "default: out"]),
        (["recipe", "--help"], ["--recipe", *RECIPES]),
        (["compile", "--help"], ["--output"]),
        (["try", "--help"], ["--root", "image", "labels", "Chinese or English"]),
    ],
)
def test_help_names_commands_and_options(dcclip, arguments, words):
    status, out, _ = dcclip(*arguments)
    assert status == 0
    assert [word for word in words if word not in out] == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["recipe", "--set", "distill_student.seed"], "'distill_student.seed' is not of the form name=value"),
        (["try", "cat.png"], "required: labels"),
    ],
)
def test_a_wrong_command_line_is_refused(dcclip, arguments, message):
    status, _, err = dcclip(*arguments)
    assert status == 2
    assert message in err


def test_students_prints_a_row_for_each(dcclip, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pipelines.students.STUDENTS", {name: STUDENTS[name] for name in ("nano", "nano_vit")}
    )
    captions = tmp_path / "captions.txt"
    captions.write_text("a red lemon\n红色的柠檬\n" * 9)
    status, out, _ = dcclip("students", str(captions))
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()[2:]] == ["nano", "nano_vit"]


def test_students_names_a_file_that_is_not_there(dcclip):
    status, _, _ = dcclip("students", "nowhere.txt")
    assert status == "dcclip: cannot read nowhere.txt: No such file or directory"


def test_recipe_prints_all_values_as_json(dcclip):
    status, out, _ = dcclip("recipe", "--recipe", "smoke")
    assert status == 0
    values = json.loads(out)
    assert next(iter(values)) == "download_pairs"
    assert values["select_pairs"]["drop_share"] == RECIPES["smoke"]().select_pairs.drop_share
    assert values["distill_student"]["phases"][0]["name"] == "image tower"


def test_recipe_shows_overrides(dcclip):
    _, out, _ = dcclip("recipe", "--set", "distill_student.seed=3", "--set", "prepare_teacher.source=hf:a=b")
    values = json.loads(out)
    assert values["distill_student"]["seed"] == 3
    assert values["prepare_teacher"]["source"] == "hf:a=b"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["recipe", "--recipe", "dmeo"], "there is no recipe 'dmeo'; choose one of demo, smoke, full"),
        (["run", "--recipe", "dmeo"], "there is no recipe 'dmeo'; choose one of demo, smoke, full"),
        (["recipe", "--set", "a.b=1"], "the recipe has no value 'a.b'; there is download_pairs"),
        (["recipe", "--set", "align_student.seed=x"], "align_student.seed='x' is no value; 0 stands there"),
        (["recipe", "--set", "evaluate_student.attributions.0.x=1"], "the recipe has no value"),
        (["recipe", "--set", 'prepare_teacher.lit={"a": 1}'], "LitTuning has no a"),
        (["try", "cat.png", "a cat", "猫"], "there is no registry below"),
    ],
)
def test_a_failure_is_one_line(dcclip, tmp_path, arguments, message):
    root = ["--root", str(tmp_path / "root")] if arguments[0] in ("run", "try") else []
    status, out, err = dcclip(arguments[0], *root, *arguments[1:])
    assert isinstance(status, str)
    assert status.startswith("dcclip: ")
    assert message in status
    assert "\n" not in status
    assert (out, err) == ("", "")


def test_compile_writes_the_pipeline(dcclip, tmp_path):
    file = tmp_path / "dist" / "dcclip-full.yaml"
    status, out, _ = dcclip("compile", "--output", str(file))
    assert (status, out) == (0, f"wrote {file}\n")
    pipeline, _ = yaml.safe_load_all(file.read_text())
    assert pipeline["pipelineInfo"]["name"] == "dcclip-full"


def test_a_file_that_cannot_be_written_is_named(dcclip, tmp_path):
    (tmp_path / "file").touch()
    for file in (tmp_path / "file" / "x.yaml", tmp_path / "x.txt"):
        status, out, err = dcclip("compile", "--output", str(file))
        assert status.startswith(f"dcclip: {tmp_path}/") and "\n" not in status
        assert (out, err) == ("", "")


@pytest.mark.parametrize("below", ["runs", ".locks"])
def test_a_file_in_place_of_a_folder_of_the_root_is_named(dcclip, tmp_path, below, monkeypatch):
    monkeypatch.setattr("pipelines.local.check_machine", lambda root: None)
    (tmp_path / below).touch()
    status, _, _ = dcclip("run", "--recipe", "smoke", "--root", str(tmp_path))
    assert status.startswith(f"dcclip: {tmp_path / below}")


def test_an_empty_root_is_not_the_current_folder(dcclip):
    status, _, err = dcclip("run", "--recipe", "none", "--root", "")
    assert status == 2 and "the storage root is empty" in err
