"""Which files a step reaches: on this project, and on a tiny one whose lines change."""

import pytest

from infra import code_version as module
from infra.code_version import code_version, files_used


def names_used(name: str) -> set[str]:
    """The files that a module reaches, as paths below the root."""
    return {str(file.relative_to(module.ROOT)) for file in files_used(name)}


@pytest.mark.parametrize(
    "step, file",
    [
        ("filter_pairs", "components/filter_pairs.py"),
        ("filter_pairs", "components/step.py"),
        ("filter_pairs", "infra/store.py"),
        ("filter_pairs", "spark_jobs/filter_pairs.py"),
        ("filter_pairs", "spark_jobs/rules.py"),
        ("filter_pairs", "spark_jobs/log4j2.properties"),
        ("evaluate_student", "training/evidence.py"),
        ("register_student", "training/reporting/page.py"),
        ("register_student", "training/reporting/page.html"),
        ("register_student", "training/reporting/confusions.html"),
        ("register_student", "training/reporting/baselines.toml"),
        ("register_student", "training/registry.py"),
        ("register_student", "training/served_model.py"),
        ("distill_student", "training/worker.py"),
    ],
)
def test_a_step_reaches(step, file):
    assert file in names_used(f"components.{step}")


@pytest.mark.parametrize(
    "step, file",
    [
        ("filter_pairs", "training/worker.py"),
        ("filter_pairs", "spark_jobs/select_pairs.py"),
        ("select_pairs", "spark_jobs/filter_pairs.py"),
        ("distill_student", "spark_jobs/rules.py"),
        ("download_pairs", "pipelines/recipes.py"),
        ("download_pairs", "components/filter_pairs.py"),
        ("evaluate_student", "training/reporting/page.py"),
        ("evaluate_student", "training/reporting/__init__.py"),
        ("export_student", "training/reporting/page.py"),
    ],
)
def test_a_step_does_not_reach(step, file):
    assert (module.ROOT / file).is_file()
    assert file not in names_used(f"components.{step}")


def test_a_module_of_others_has_no_version():
    with pytest.raises(ValueError, match="json is not a module of"):
        code_version("json")


TINY = {
    "steps/__init__.py": "",
    "steps/filter.py": "def run():\n    from jobs import rules\n",
    "steps/report.py": "import json\nfrom jobs.page import write\n",
    "jobs/__init__.py": "",
    "jobs/rules.py": "from jobs.words import WORDS\n",
    "jobs/words.py": "WORDS = ('cat',)\n",
    "jobs/page.py": "TEMPLATE = 'page.html'\nSERVED = 'served.py'\nWRITTEN = 'README.md'\n",
    "jobs/README.md": "what people read\n",
    "jobs/page.html": "<p>{{ text }}</p>\n",
    "jobs/served.py": "import jobs.words\n",
    "jobs/alone.py": "import steps.report\n",
}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A project of two packages in place of this one."""
    for name, text in TINY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PACKAGES", ("steps", "jobs"))
    module._uses.cache_clear()
    yield tmp_path
    module._uses.cache_clear()


def versions() -> dict[str, str]:
    """The versions of the tiny project's modules, read afresh."""
    module._uses.cache_clear()
    return {name: code_version(name) for name in ("steps.filter", "steps.report", "jobs.alone")}


@pytest.mark.parametrize(
    "file, changed",
    [
        ("steps/filter.py", {"steps.filter"}),
        ("jobs/rules.py", {"steps.filter"}),
        ("jobs/words.py", {"steps.filter", "steps.report", "jobs.alone"}),
        ("jobs/page.html", {"steps.report", "jobs.alone"}),
        ("jobs/served.py", {"steps.report", "jobs.alone"}),
        ("jobs/README.md", set()),
        ("jobs/alone.py", {"jobs.alone"}),
    ],
)
def test_a_changed_line_changes_the_modules_that_reach_it(tiny, file, changed):
    before = versions()
    with (tiny / file).open("a") as stream:
        stream.write("# one line more\n")
    after = versions()
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_file_that_nothing_names_changes_nothing(tiny):
    before = versions()
    (tiny / "jobs" / "notes.txt").write_text("not named anywhere")
    assert versions() == before


def test_modules_may_import_each_other(tiny):
    (tiny / "jobs" / "words.py").write_text("import jobs.rules\n")
    assert len(versions()["steps.filter"]) == 32
