"""From a recipe and overrides to the steps' dicts: what may be replaced, and what changes when it is."""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from components.step import StepError
from components.url_lists import Layout, UrlList
from infra.addresses import sqlite_file, without_secrets
from pipelines.commands.options import storage_root
from pipelines.demo import EXAM
from pipelines.recipes import RECIPES, Recipe
from pipelines.resolve import STEPS, below, choose_recipe, engine_addresses, resolve

ENGINES = engine_addresses("/data", "local[2]", "", "")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_without_overrides_it_is_the_recipe(name):
    assert choose_recipe(name, {}) == RECIPES[name]()


def value_at(recipe: Recipe, dotted: str) -> Any:
    """A value by its dotted name."""
    at: Any = dataclasses.asdict(recipe)
    for part in dotted.split("."):
        at = at[int(part)] if isinstance(at, (list, tuple)) else at[part]
    return at


OWN_LISTS = """[{"path": "/data/wukong/*.csv.gz", "layout": "wukong"}, {"name": "ours",
  "path": "/data/ours.jsonl.zst", "layout": {"url": "link", "zh": "alt_zh", "en": "alt_en"}}]"""
OURS = Layout(url="link", zh="alt_zh", en="alt_en")
OWN_LISTS_READ = tuple(
    dataclasses.asdict(source)
    for source in (UrlList("/data/wukong/*.csv.gz", "wukong"), UrlList("/data/ours.jsonl.zst", OURS, "ours"))
)


@pytest.mark.parametrize(
    "dotted, given, value",
    [
        ("distill_student.seed", "7", 7),
        ("distill_student.seed", 7.0, 7),
        ("distill_student.use_gpu", "true", True),
        ("filter_pairs.image.max_aspect", "2", 2.0),
        ("select_pairs.drop_share", "0.5", 0.5),
        ("select_pairs.drop_share", 1, 1.0),
        ("prepare_teacher.revision", "123", "123"),
        ("prepare_teacher.lit.epochs", "2", 2),
        ("download_pairs.lists.0.path", "lists/other.csv", "lists/other.csv"),
        ("download_pairs.lists.0.layout", "laion", "laion"),
        ("download_pairs.lists", OWN_LISTS, OWN_LISTS_READ),
        ("distill_student.phases.0.num_steps", "500", 500),
        ("distill_student.phases.0.num_steps", 500.0, 500),
        ("distill_student.phases.0.terms.image_feature", "0.25", 0.25),
        ("distill_student.phases.0.towers", '["text"]', ("text",)),
        ("distill_student.phases.0.towers.0", "text", "text"),
        ("distill_student.student.image_size", "48", 48),
        ("distill_student.student.vision.out_channels.0", "2", 2),
        ("evaluate_student.attributions", '["nobody"]', ("nobody",)),
        ("evaluate_student.attributions.0", "nobody", "nobody"),
        ("corpus.max_concepts", "20", 20),
        ("corpus.max_concepts", 20.0, 20),
    ],
)
def test_a_value_is_replaced_in_its_type(dotted, given, value):
    found = value_at(choose_recipe("demo", {dotted: given}), dotted)
    assert (found, type(found)) == (value, type(value))


def test_all_else_stays():
    recipe = dataclasses.asdict(choose_recipe("demo", {"distill_student.phases.0.num_steps": "500"}))
    recipe["distill_student"]["phases"][0]["num_steps"] = (
        RECIPES["demo"]().distill_student.phases[0].num_steps
    )
    assert recipe == dataclasses.asdict(RECIPES["demo"]())


@pytest.mark.parametrize(
    "dotted, given, message",
    [
        ("no_step.seed", "1", "no value 'no_step.seed'; there is download_pairs, filter_pairs"),
        ("distill_student.sed", "1", "no value 'distill_student.sed'; there is student, phases"),
        ("distill_student.phases.9.num_steps", "1", "no value 'distill_student.phases.9.num_steps'"),
        ("distill_student.phases.first.num_steps", "1", "no value 'distill_student.phases.first"),
        ("distill_student.seed.low", "1", "no value 'distill_student.seed.low'"),
        ("", "1", "no value ''"),
        ("distill_student.seed", "one", "distill_student.seed='one' is no value; 0 stands there now"),
        ("distill_student.seed", "1.5", "distill_student.seed=1.5 should be of the type of 0"),
        ("distill_student.seed", "true", "distill_student.seed=True should be of the type of 0"),
        ("distill_student.use_gpu", "1", "distill_student.use_gpu=1 should be of the type of False"),
        ("select_pairs.drop_share", "true", "select_pairs.drop_share=True should be of the type of"),
        ("select_pairs.drop_share", "[0.1]", r"select_pairs.drop_share=\[0.1\] should be of the type of"),
        ("prepare_teacher.source", 5.5, "prepare_teacher.source=5.5 should be of the type of 'lit:'"),
        ("prepare_teacher.lit", '{"epohcs": 1}', "LitTuning has no epohcs"),
        ("download_pairs.lists", '["mine.csv"]', 'lists are written .*"path": "pairs.csv", "layout": "en"'),
        ("download_pairs.lists.0.layout", "laoin", "no layout 'laoin'; choose one of .*laion"),
        (
            "download_pairs.lists.0",
            '{"path": "a", "layout": {"uri": "x"}}',
            "Layout has no uri; it has url, zh",
        ),
        ("prepare_teacher", "{}", "source"),
        ("select_pairs.drop_share", "NaN", "the recipe's values do not fit: Out of range float"),
        ("select_pairs.drop_share", "1e999", "the recipe's values do not fit: Out of range float"),
        ("select_pairs.drop_share", "9" * 400, "the recipe's values do not fit: int too large"),
        ("prepare_teacher.source", "hf:a\udcff", "the recipe's values do not fit: 'utf-8' codec"),
        ("distill_student.student", "nano_vit", r"let them learn: distill_student.phases.0.frozen_blocks=0"),
    ],
)
def test_what_cannot_be_replaced_is_named(dotted, given, message):
    with pytest.raises(StepError, match=message):
        choose_recipe("demo", {dotted: given})


@pytest.mark.parametrize(
    "deep",
    ["[" * 5_000, "[" * 300 + "]" * 300, '{"a":' * 400 + "1" + "}" * 400, "1" * 9_000],
    ids=["open", "lists", "objects", "digits"],
)
@pytest.mark.parametrize(
    "dotted", ["download_pairs.lists", "distill_student.seed", "distill_student.student"]
)
def test_a_value_of_any_depth_is_told_in_a_line(dotted, deep):
    with pytest.raises(StepError) as caught:
        choose_recipe("demo", {dotted: deep})
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "a:b", "x@champion", "a'b", "..", "a\nb", "-a", "a" * 200]
)
def test_the_name_of_a_model_is_a_name(name):
    with pytest.raises(StepError, match="a model's name is of letters"):
        choose_recipe("demo", {"register_student.model": name})


@pytest.mark.parametrize("port", ["70000", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(StepError, match="corpus.port is 0 to 65535"):
        choose_recipe("demo", {"corpus.port": port})


def test_an_unknown_recipe_is_named_with_the_known():
    with pytest.raises(StepError, match="there is no recipe 'dmeo'; choose one of demo, smoke, full"):
        choose_recipe("dmeo", {})


FILES = ("pairs.zh.csv", "pairs.en.csv", "texts.zh.txt", "texts.en.txt", f"{EXAM}/classnames.txt")


@pytest.fixture
def root(tmp_path) -> Path:
    """A storage root with all files that the demo recipe names."""
    for name in FILES:
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_text(name)
    return tmp_path


def configs_of(root: Path, **overrides: Any) -> dict[str, dict]:
    """The steps' dicts of the demo recipe; `__` in a name stands for a dot."""
    recipe = choose_recipe("demo", {name.replace("__", "."): value for name, value in overrides.items()})
    return resolve(recipe, str(root), ENGINES)


def changed(before: dict[str, dict], after: dict[str, dict]) -> set[str]:
    """The steps whose dict has changed."""
    return {step for step in STEPS if before[step] != after[step]}


def test_a_dict_holds_values_code_root_and_engines(root):
    configs = configs_of(root)
    assert tuple(configs) == STEPS
    for config in configs.values():
        assert set(config) == {"values", "code", "root", "engines"}
        assert (config["root"], config["engines"]) == (f"{root}/store", ENGINES)
    assert json.loads(json.dumps(configs)) == configs


def test_paths_are_absolute_and_have_their_content_beside_them(root):
    configs = configs_of(root)
    chinese, english = configs["download_pairs"]["values"]["lists"]
    assert chinese["path"] == str(root / "corpus" / "pairs.zh.csv")
    assert chinese["content"] != english["content"] != ""
    exams = [configs[step]["values"] for step in ("evaluate_student", "export_student", "register_student")]
    assert {exam["exam"] for exam in exams} == {str(root / "corpus" / EXAM)}
    assert len({exam["content"] for exam in exams} - {""}) == 1


def test_an_absolute_path_stays(root, tmp_path_factory):
    file = tmp_path_factory.mktemp("elsewhere") / "pairs.csv"
    file.write_text("url,caption\n")
    configs = configs_of(root, download_pairs__lists__0__path=str(file))
    assert configs["download_pairs"]["values"]["lists"][0]["path"] == str(file)


@pytest.mark.parametrize(
    "dotted, value, step",
    [
        ("download_pairs.timeout_seconds", 3, "download_pairs"),
        ("filter_pairs.image.min_side", 40, "filter_pairs"),
        ("prepare_teacher.lit.epochs", 2, "prepare_teacher"),
        ("embed_pairs.use_gpu", True, "embed_pairs"),
        ("select_pairs.drop_share", 0.1, "select_pairs"),
        ("distill_student.phases.0.num_steps", 5, "distill_student"),
        ("align_student.seed", 5, "align_student"),
        ("evaluate_student.num_examples", 5, "evaluate_student"),
        ("export_student.max_cosine_gap", 0.5, "export_student"),
        ("register_student.margin", 0.5, "register_student"),
    ],
)
def test_a_value_changes_the_dict_of_its_step_alone(root, dotted, value, step):
    assert changed(configs_of(root), configs_of(root, **{dotted: value})) == {step}


@pytest.mark.parametrize(
    "dotted, value", [("resources__distill_student__memory", "64Gi"), ("resources__embed_pairs__gpus", 1)]
)
def test_sizes_of_pods_are_in_no_dict_and_so_in_no_identity(root, dotted, value):
    assert changed(configs_of(root), configs_of(root, **{dotted: value})) == set()


def test_the_corpus_is_seen_through_its_files_alone(root):
    assert changed(configs_of(root), configs_of(root, corpus__seed=5)) == set()


@pytest.mark.parametrize(
    "file, steps",
    [
        ("pairs.zh.csv", {"download_pairs"}),
        ("pairs.en.csv", {"download_pairs"}),
        ("texts.en.txt", {"embed_pairs"}),
        (f"{EXAM}/classnames.txt", {"evaluate_student", "export_student", "register_student"}),
    ],
)
def test_content_changes_the_dicts_of_the_steps_that_read_it(root, file, steps):
    before = configs_of(root)
    (root / "corpus" / file).write_text("other content")
    assert changed(before, configs_of(root)) == steps


def test_a_pattern_stands_for_the_content_of_all_it_fits(root):
    contents = set()
    for text in ("first", "second", None):
        if text:
            (root / "corpus" / "pairs.zh.csv").write_text(text)
        else:
            (root / "corpus" / "pairs.more.csv").write_text("another file")
        configs = configs_of(root, download_pairs__lists__0__path="corpus/pairs.*.csv")
        chinese = configs["download_pairs"]["values"]["lists"][0]
        assert chinese["path"] == f"{root}/corpus/pairs.*.csv"
        contents.add(chinese["content"])
    assert len(contents - {""}) == 3


def test_a_pattern_that_fits_nothing_is_named(root):
    with pytest.raises(StepError, match=r"corpus/\*\.tsv is not there; the recipe's path names it"):
        configs_of(root, download_pairs__lists__0__path="corpus/*.tsv")


@pytest.mark.parametrize("file, field", [("pairs.zh.csv", "path"), (EXAM, "exam")])
def test_a_missing_file_is_named(root, file, field):
    (root / "corpus" / file).rename(root / "gone")
    with pytest.raises(StepError, match=f"{root}/corpus/{file} is not there; the recipe's {field} names it"):
        configs_of(root)


SECRETS = (
    "http://secret@mlflow:5000",
    "http://:secret@mlflow:5000",
    "mysql://u:secret/w@db/mlflow",
    "mysql://u:secret?w@db/mlflow",
    "postgresql://u:secret#w@db/mlflow",
    "http://u%3Asecret%40mlflow:5000",
    "postgresql://db/mlflow?password=secret",
    "postgresql://db/mlflow?user=u&PassWord=secret",
    "postgresql://db/mlflow?sslpassword=secret",
    "postgresql://db/mlflow?p%61ssword=secret",
    "postgresql://db/mlflow%3Fpassword%3Dsecret",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC%7D%3BUID%3Du%3BPWD%3Dsecret",
    "mysql://db/mlflow?passwd=secret",
    "http://mlflow:5000/?token=secret",
    "http://mlflow:5000/?a=1&access_token=secret",
    "http://mlflow:5000/#api_key=secret",
    "http://mlflow:5000/;pwd=secret",
    "https://store/?X-Amz-Signature=secret",
    "sqlite:////data/m.db?password=secret",
)


@pytest.mark.parametrize("name", ["mlflow_uri", "s3_endpoint", "spark_master", "ray_address"])
@pytest.mark.parametrize("uri", SECRETS)
def test_no_address_may_hold_a_secret_in_any_form(uri, name):
    addresses = {"root": "/data", "spark_master": "local[2]", "ray_address": "", "mlflow_uri": ""}
    with pytest.raises(StepError, match=f"{name} holds a password") as caught:
        engine_addresses(**addresses | {name: uri})
    assert "secret" not in str(caught.value)
    assert "secret" not in without_secrets(f"cannot reach {uri}, it said: no")


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow:5000/prefix",
        "postgresql://db:5432/mlflow?sslmode=require",
        "sqlite:////data/me@home/mlflow.db",
        "databricks://profile",
        "mysql+pymysql://db/mlflow?charset=utf8mb4",
    ],
)
def test_an_address_without_a_secret_is_taken(uri):
    assert engine_addresses("/data", "local[2]", "", uri)["mlflow_uri"] == uri


ODD_NAMES = ("a%41b", "%", "a b", "a#b", "柠檬", "a+b", "a&b=c", "a@b", "a;b", "a'b")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_registry_is_below_any_root(tmp_path, name):
    """`%` failed at the last step, after seven minutes."""
    import sqlalchemy

    (tmp_path / name).mkdir()
    engines = engine_addresses(str(tmp_path / name), "local[2]", "", "")
    engine = sqlalchemy.create_engine(engines["mlflow_uri"])
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table a (b int)"))
    engine.dispose()
    assert sqlite_file(engines["mlflow_uri"]) == tmp_path / name / "mlflow.db"
    assert (tmp_path / name / "mlflow.db").stat().st_size > 0
    assert url2pathname(urlsplit(engines["mlflow_artifacts"]).path) == str(tmp_path / name / "mlflow")


@pytest.mark.parametrize(
    "root",
    [
        "/data/a*b",
        "/data/a?b",
        "/data/[a]",
        "/data/{a,b}",
        "/data/a\\b",
        "/data/a\nb",
        "/data/a::b",
        os.fsdecode(b"/data/\xc4\xfb"),
        "gs://bucket/runs",
        "hdfs://name/runs",
        "file:///data",
        "s3://",
        "s3:///runs",
        "s3:/bucket",
        "s3://../runs",
        "s3://bucket/../other",
        "s3://bucket//runs",
        "s3://bucket/a*b",
        "s3://u:secret@bucket/runs",
    ],
)
def test_a_root_that_cannot_work_is_refused_at_once(root):
    with pytest.raises(StepError, match="the storage root"):
        engine_addresses(root, "local[2]", "", "http://mlflow:5000")
    with pytest.raises(argparse.ArgumentTypeError, match="the storage root"):
        storage_root(root)


@pytest.mark.parametrize("root", ["/data", "s3://bucket/runs"])
@pytest.mark.parametrize("path", ["../lists/a.csv", "a/../../b.csv", "s3:///b.csv", "/data/../etc/b.csv"])
def test_no_path_of_a_recipe_leads_out_of_the_root(root, path):
    with pytest.raises(StepError, match="leads out of the storage root"):
        below(root, path)


@pytest.mark.parametrize("uri", ["http://me:secret@mlflow:5000", "postgresql://mlflow:secret@db/mlflow"])
def test_an_address_with_a_password_is_refused_without_repeating_it(uri):
    with pytest.raises(StepError, match="mlflow_uri holds a password.*MLFLOW_TRACKING_PASSWORD") as caught:
        engine_addresses("/data", "local[2]", "", uri)
    assert "secret" not in str(caught.value)


def test_mlflow_is_below_the_root_unless_there_is_a_server():
    assert ENGINES["mlflow_uri"] == "sqlite:////data/mlflow.db"
    assert ENGINES["mlflow_artifacts"] == "file:///data/mlflow"
    served = engine_addresses("/data", "local[2]", "", "http://mlflow:5000")
    assert (served["mlflow_uri"], served["mlflow_artifacts"]) == ("http://mlflow:5000", "")
