"""A session where there is a Java, and what to do where there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from spark_jobs import session
from spark_jobs.session import is_short, java_options, require_java, spark_session

ADVICE = "Spark needs Java 17 .* apt-get install openjdk-17-jre-headless.* JAVA_HOME"


def test_the_session_works_on_loopback(spark):
    settings = spark.sparkContext.getConf()
    assert settings.get("spark.driver.host") == "127.0.0.1"
    assert settings.get("spark.ui.enabled") == "false"
    assert spark.range(5).count() == 5


def test_a_session_that_runs_is_used_and_goes_on(spark):
    with spark_session("another", "local[1]") as session:
        assert session is spark
    assert spark.range(2).count() == 2


def test_a_short_job_is_one_with_little_to_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert is_short([tmp_path / "a"]) and not is_short([tmp_path / "a"] * 20_000)


def test_workers_run_our_python(spark):
    def executable(batches):
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"path": [sys.executable]})

    found = spark.range(1).mapInArrow(executable, "path string").collect()
    assert {row["path"] for row in found} == {sys.executable}


def test_java_gets_what_the_job_asks_for(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "CLASS_ARCHIVE", tmp_path / "classes.jsa")
    assert java_options(short_job=False, archive_to=None) == ""
    assert java_options(short_job=True, archive_to=None) == "-XX:TieredStopAtLevel=1"
    session.CLASS_ARCHIVE.write_bytes(b"")
    assert java_options(short_job=False, archive_to=None) == f"-XX:SharedArchiveFile={tmp_path}/classes.jsa"


MAKE = "import sys, pathlib; from spark_jobs.class_archive import main; main(pathlib.Path(sys.argv[1]))"
USE = """
import sys, pathlib
from spark_jobs import session
session.CLASS_ARCHIVE = pathlib.Path(sys.argv[1])
with session.spark_session("test", "local[1]") as spark:
    print(spark.range(7).count())
"""


def test_an_archive_of_classes_serves_a_session(tmp_path):
    """In processes of their own, because Java reads its options once; it would say what is wrong with one."""
    archive = str(tmp_path / "classes.jsa")
    options = {"check": True, "timeout": 300, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", MAKE, archive], **options)
    assert [path.name for path in tmp_path.iterdir()] == ["classes.jsa"]
    done = subprocess.run([sys.executable, "-c", USE, archive], **options)
    assert done.stdout == "7\n"
    assert "archive" not in done.stderr


def test_without_java_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(RuntimeError, match=ADVICE), spark_session("tests", "local[1]"):
        pass


def test_a_java_on_the_path_is_enough(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    require_java()


def test_java_home_alone_is_enough(tmp_path, monkeypatch):
    home = Path(shutil.which("java")).resolve().parent.parent
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(home))
    require_java()


def test_a_java_home_without_java_is_no_java(tmp_path, monkeypatch):
    """Spark asks JAVA_HOME first and looks nowhere else when it is set."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match=ADVICE):
        require_java()
