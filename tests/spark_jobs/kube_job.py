"""A Spark job for a master k8s://…, with the settings that the manifests give, small enough for a test."""

from pathlib import Path

import yaml

BASE = Path(__file__).parents[2] / "infra" / "manifests" / "base"
POD = {
    "DCCLIP_POD_IP": "10.0.0.7",
    "DCCLIP_POD_NAME": "dcclip-full-abc",
    "DCCLIP_NAMESPACE": "dcclip",
    "DCCLIP_IMAGE": "registry.example/dcclip:1",
}
JOB = """
import json, os, sys
import pyarrow as pa
from spark_jobs.session import spark_session

def where(batches):
    for batch in batches:
        row = {"pod": os.environ["SPARK_EXECUTOR_POD_NAME"], "mark": os.environ["MARK"]}
        row["total"] = sum(batch["id"].to_pylist())
        yield pa.RecordBatch.from_pylist([row])

with spark_session("job", "k8s://" + sys.argv[1], environment={"MARK": "m"}) as spark:
    shuffled = spark.range(100).repartition(3)
    rows = shuffled.mapInArrow(where, "pod string, mark string, total long").collect()
    marks = [sorted({row[name] for row in rows}) for name in ("pod", "mark")]
    print(json.dumps([*marks, sum(row.total for row in rows)]))
"""


SMALL = """
spark.dynamicAllocation.maxExecutors 1
spark.executor.cores 1
spark.executor.memory 512m
spark.executor.memoryOverhead 512m
spark.kubernetes.executor.request.cores 1
spark.kubernetes.executor.limit.cores 1
"""


def small_settings(folder: Path) -> None:
    """The ConfigMap's files, but of executors for a small machine."""
    defaults = (BASE / "spark" / "defaults.conf").read_text()
    (folder / "defaults.conf").write_text(defaults.replace("/etc/dcclip/spark", str(folder)))
    (folder / "sizes.conf").write_text(SMALL)
    (folder / "executor.yaml").write_text((BASE / "spark" / "executor.yaml").read_text())


def role() -> dict:
    """What the manifests let a step do."""
    manifests = yaml.safe_load_all((BASE / "access.yaml").read_text())
    return next(item for item in manifests if item["kind"] == "Role")
