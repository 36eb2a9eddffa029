"""A session where there is a Java, and what to do where there is none."""

import shutil
from pathlib import Path

import pytest

from spark_jobs.session import require_java, spark_session

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
