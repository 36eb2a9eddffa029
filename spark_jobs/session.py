"""One way to a Spark session, whether the master is this machine or a cluster."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pyspark
from pyspark.sql import SparkSession

from infra import storage
from infra.engines import EngineGone, own_address
from infra.storage import AnyPath
from spark_jobs.kubernetes import kubernetes_settings

QUIET = Path(__file__).with_name("log4j2.properties")
# Spark's classes as Java maps them into memory, made by `python -m spark_jobs.class_archive`. Java looks past
# one that another Java or other jars made; one that is not there would cost it its own archive.
CLASS_ARCHIVE = Path(pyspark.__file__).with_name("dcclip.jsa")
SHORT_JOB_BYTES = 20_000_000


def require_java() -> None:
    """Raises RuntimeError with what to install when there is no Java to run Spark on."""
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin/java").exists() if home else shutil.which("java")):
        raise RuntimeError(
            "Spark needs Java 17 and there is none: install a JRE (Debian: apt-get install "
            "openjdk-17-jre-headless) or point JAVA_HOME at one"
        )


def require_master(master: str) -> None:
    """Raises EngineGone when no master of a standalone cluster answers; Spark itself tries for a minute.

    An address may name several, `spark://HOST:PORT,HOST:PORT`, of which one leads.
    """
    if not master.startswith("spark://"):
        return
    *others, last = master.removeprefix("spark://").split(",")
    for address in others:
        with contextlib.suppress(EngineGone):
            own_address("a Spark master", address)
            return
    own_address("the Spark master", last)


def is_short(paths: Iterable[AnyPath]) -> bool:
    """Whether a job over these files takes seconds rather than minutes."""
    return sum(path.stat().st_size for path in paths) < SHORT_JOB_BYTES


def java_options(short_job: bool, archive_to: Path | None) -> str:
    """For the driver's Java."""
    options = ["-XX:TieredStopAtLevel=1"] if short_job else []
    if archive_to:
        options += [f"-XX:ArchiveClassesAtExit={archive_to}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    elif CLASS_ARCHIVE.exists():
        options.append(f"-XX:SharedArchiveFile={CLASS_ARCHIVE}")
    return " ".join(options)


@contextlib.contextmanager
def spark_session(
    name: str,
    master: str,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    short_job: bool = False,
    archive_to: Path | None = None,
) -> Iterator[SparkSession]:
    """A session on `master` (`local[*]`, `spark://…`, `k8s://…`), stopped at the end.

    Where one is running already in this thread it is that one, and it goes on.

    Args:
        name: the application's.
        master: its address.
        environment: variables for its Python workers.
        short_job: it takes seconds, so Java shall not spend them on optimising.
        archive_to: where Java writes an archive of the classes it used, when it exits.
    """
    require_java()
    require_master(master)
    if running := SparkSession.getActiveSession():
        yield running
        return
    # Spark takes the first python3 it finds; a cluster's executors run our image, with this very path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).master(master)
    java = java_options(short_job, archive_to)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # Lists come with columns `URL` and `url`.
        "spark.sql.caseSensitive": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{QUIET} {java}",
    }
    # A local executor has this process's environment.
    found = {} if master.startswith("local") else storage.environment()
    settings |= {f"spark.executorEnv.{key}": value for key, value in (found | environment).items()}
    if master.startswith("local"):
        # Before Java starts: or Spark looks for another address and warns of what it finds.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": "4",
        }
    else:
        # Adaptive execution joins small partitions and divides none: 200 would be of 2 GB at a billion rows.
        settings["spark.sql.adaptive.coalescePartitions.initialPartitionNum"] = "2000"
    if master.startswith("k8s://"):
        settings |= kubernetes_settings(os.environ)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
