"""What Spark has moved so far: bytes between tasks, and bytes read from files."""

from pyspark.sql import SparkSession


def stage_sums(spark: SparkSession) -> dict[str, int]:
    """Bytes written to shuffles, and read from and written to files, by all stages of the session."""
    store = spark.sparkContext._jsc.sc().statusStore()
    sums = {"shuffled": 0, "read": 0, "written": 0}
    number = 0
    while True:
        try:
            stage = store.lastStageAttempt(number)
        except Exception:  # Java's NoSuchElementException: there is no further stage.
            return sums
        sums["shuffled"] += stage.shuffleWriteBytes()
        sums["read"] += stage.inputBytes()
        sums["written"] += stage.outputBytes()
        number += 1
