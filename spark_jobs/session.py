"""One way to a Spark session, whether the master is this machine or a cluster."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

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
def spark_session(
    name: str, master: str, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[SparkSession]:
    """A session on `master` (`local[*]`, `spark://…`, `k8s://…`), stopped at the end.

    Args:
        name: the application's.
        master: its address.
        environment: variables for its Python workers.
    """
    require_java()
    # Its Python workers have what this process has; on a cluster they are of the same image.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{QUIET}",
    }
    settings |= {f"spark.executorEnv.{key}": value for key, value in environment.items()}
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
