"""Makes the archive of Spark's classes that `spark_jobs.session` gives to Java, for a sooner start.

Run it once an environment: `python -m spark_jobs.class_archive` (a minute; 190 MB among pyspark's files).
Java 17 writes the archive when it exits, with the classes that were in use, so this runs a small job of each
kind first.
"""

import tempfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.filter_pairs import mark_copies
from spark_jobs.session import CLASS_ARCHIVE, spark_session


def use_classes(spark: SparkSession, folder: Path) -> None:
    """What the project's jobs do with Spark, on a hundred rows."""
    made = spark.range(100).selectExpr("cast(id % 90 as string) key", "cast(null as string) reason")
    made.withColumn("sha256", F.regexp_replace("key", "^[0-9]", "x")).write.parquet(str(folder / "raw"))
    rows = spark.read.schema("key string, reason string, sha256 string").parquet(str(folder / "raw"))
    judged = mark_copies(rows).repartition("sha256").sortWithinPartitions("key").cache()
    judged.write.parquet(str(folder / "judged"))
    judged.groupBy("reason").agg(F.count("*"), F.percentile_approx("key", 0.5)).collect()
    judged.join(judged.groupBy("sha256").count(), "sha256", "left").orderBy("key").write.parquet(
        str(folder / "joined")
    )
    rows.mapInArrow(lambda batches: batches, rows.schema).count()


def main(archive: Path = CLASS_ARCHIVE) -> None:
    """Write the archive; it appears under its name only when it is whole."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        folder = Path(name)
        partial = folder / archive.name
        options = f"-XX:ArchiveClassesAtExit={partial} -Xlog:cds=off -Xlog:cds+dynamic=off"
        with spark_session("class_archive", "local[2]", java_options=options) as spark:
            use_classes(spark, folder)
            gateway = spark.sparkContext._gateway
        # Java ends when its standard input does; a session that is stopped leaves it running.
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=300)
        partial.replace(archive)


if __name__ == "__main__":
    main()
