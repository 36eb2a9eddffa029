"""One way to a Spark session, whether the master is this machine or a cluster."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

QUIET = Path(__file__).with_name("log4j2.properties")


def require_java() -> None:
    """Raises RuntimeError with what to install when there is no Java to run Spark on."""
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin/java").exists() if home else shutil.which("java")):
        raise RuntimeError(
            "Spark needs Java 17 and there is none: install a JRE (Debian: apt-get install "
            "openjdk-17-jre-headless) or point JAVA_HOME at one"
        )


@contextlib.contextmanager
def spark_session(name: str, master: str) -> Iterator[SparkSession]:
    """A session on `master` (`local[*]`, `spark://…`, `k8s://…`), stopped at the end.

    Where one is running already in this thread it is that one, and it goes on.
    """
    require_java()
    if running := SparkSession.getActiveSession():
        yield running
        return
    builder = SparkSession.builder.appName(name).master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{QUIET}",
    }
    if master.startswith("local"):
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": "4",
        }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
