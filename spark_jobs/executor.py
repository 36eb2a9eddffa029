"""What an executor's pod runs: `python -m spark_jobs.executor`, the Java of a Spark executor.

Spark expects an image with an entry point of its own that turns the pod's environment into Java's command
line. The project's image has pyspark from the registry, which lacks it: infra/manifests/base/spark/
executor.yaml names this module instead, and infra/images/entrypoint.sh runs it in pods without that template.
The variables are those that Spark 4.3's BasicExecutorFeatureStep writes.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pyspark

JARS = Path(pyspark.__file__).with_name("jars")
BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
OPTION = "SPARK_JAVA_OPT_"
ARGUMENTS = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}


def java_command(environment: Mapping[str, str]) -> list[str]:
    """Java's command line for the executor that the environment describes.

    Raises:
        KeyError: a variable that Spark sets is not there.
    """
    home, memory = environment.get("JAVA_HOME"), environment["SPARK_EXECUTOR_MEMORY"]
    java = f"{home}/bin/java" if home else shutil.which("java") or "java"
    options = sorted((name for name in environment if name.startswith(OPTION)), key=_number)
    extra = environment.get("SPARK_CLASSPATH")
    classes = f"{extra}:{JARS}/*" if extra else f"{JARS}/*"
    command = [java, *(environment[name] for name in options), f"-Xms{memory}", f"-Xmx{memory}"]
    command += ["-cp", classes, BACKEND]
    return command + [item for name, key in ARGUMENTS.items() for item in (name, environment[key])]


def _number(option: str) -> int:
    return int(option.removeprefix(OPTION))


def main() -> None:
    """Become the executor."""
    command = java_command(os.environ)
    # Executors of a pod are processes of their own: Java finds pyspark's files where Python does.
    os.environ.setdefault("SPARK_HOME", str(JARS.parent))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
