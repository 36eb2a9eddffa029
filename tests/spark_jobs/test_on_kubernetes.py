"""A master k8s://…: settings, an executor's command line, and a job whose executors are pods.

The API is a stand-in on loopback (kube_api.py) that grants the Role of infra/manifests and runs pods as
processes; driver, executors and the settings file are the real ones.
"""

import json
import os
import subprocess
import sys

import pytest

from spark_jobs.executor import BACKEND, JARS, java_command
from spark_jobs.kubernetes import kubernetes_settings
from tests.spark_jobs.kube_api import kubernetes_api
from tests.spark_jobs.kube_job import JOB, POD, role, small_settings

EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.0.0.7:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "4",
    "SPARK_EXECUTOR_MEMORY": "4096m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.9",
    "SPARK_EXECUTOR_POD_NAME": "filter-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "JAVA_HOME": "/opt/java",
}


def test_a_driver_knows_its_pod():
    assert kubernetes_settings({**POD, "OTHER": "x"}) == {
        "spark.driver.host": "10.0.0.7",
        "spark.kubernetes.driver.pod.name": "dcclip-full-abc",
        "spark.kubernetes.namespace": "dcclip",
        "spark.kubernetes.container.image": "registry.example/dcclip:1",
    }


@pytest.mark.parametrize("name", POD)
def test_what_the_pod_does_not_say_is_named(name):
    with pytest.raises(RuntimeError, match=f"needs {name} in the environment"):
        kubernetes_settings({**POD, name: ""})


def test_settings_of_all_pods_are_files_in_a_folder(tmp_path):
    (tmp_path / "a.conf").write_text("# first\n\nspark.one   1\nspark.two  a b \n")
    (tmp_path / "b.conf").write_text("spark.one\t2\n")
    (tmp_path / "pod.yaml").write_text("kind: Pod\n")
    found = kubernetes_settings({**POD, "DCCLIP_SPARK_SETTINGS": str(tmp_path)})
    assert (found["spark.one"], found["spark.two"]) == ("2", "a b")
    assert found["spark.driver.host"] == "10.0.0.7" and len(found) == 6


def test_an_executor_is_javas_command_line():
    options = {f"SPARK_JAVA_OPT_{at}": f"-Dat={at}" for at in range(11)}
    command = java_command({**EXECUTOR, **options})
    assert command[:12] == ["/opt/java/bin/java", *(f"-Dat={at}" for at in range(11))]
    assert command[12:17] == ["-Xms4096m", "-Xmx4096m", "-cp", f"{JARS}/*", BACKEND]
    given = dict(zip(command[17::2], command[18::2], strict=True))
    assert given["--driver-url"] == EXECUTOR["SPARK_DRIVER_URL"]
    assert (given["--executor-id"], given["--podName"]) == ("3", "filter-exec-3")
    assert "/extra:" in java_command({**EXECUTOR, "SPARK_CLASSPATH": "/extra"})[4]


def test_a_job_runs_in_pods_with_the_rights_that_the_manifests_give(tmp_path):
    small_settings(tmp_path)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("KUBE")},
        **POD,
        "DCCLIP_POD_IP": "127.0.0.1",
        "DCCLIP_SPARK_SETTINGS": str(tmp_path),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "HOME": str(tmp_path),
    }
    with kubernetes_api("dcclip", role(), tmp_path) as (url, pods):
        driver = pods.add({"kind": "Pod", "metadata": {"name": POD["DCCLIP_POD_NAME"]}}, "Running")
        job = [sys.executable, "-c", JOB, url]
        done = subprocess.run(job, env=environment, capture_output=True, text=True, timeout=900)
        logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        assert done.returncode == 0, done.stderr[-3000:] + logs[-3000:]
        left = list(pods.pods)
    # One, unless this machine is so busy that Spark takes it for lost.
    names = {body["metadata"]["name"] for body in pods.bodies}
    ran, *rest = json.loads(done.stdout)
    assert set(ran) <= names and rest == [["m"], 4950]
    assert pods.refused == [] and left == [POD["DCCLIP_POD_NAME"]]
    for body in pods.bodies:
        check_pod(body, driver["metadata"]["uid"])


def check_pod(body: dict, driver: str) -> None:
    """What template and settings make of an executor's pod."""
    assert [owner["uid"] for owner in body["metadata"]["ownerReferences"]] == [driver]
    spec, (container,) = body["spec"], body["spec"]["containers"]
    assert spec["serviceAccountName"] == "dcclip-worker" and not spec["automountServiceAccountToken"]
    assert container["image"] == POD["DCCLIP_IMAGE"]
    assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert body["metadata"]["labels"]["dcclip/network"] == "cluster"
