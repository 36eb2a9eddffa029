"""Spark on Kubernetes: the driver in the step's pod, executors as pods beside it.

What every run on a cluster shares is in the ConfigMap `dcclip-spark` (infra/manifests/base/spark), mounted
where DCCLIP_SPARK_SETTINGS says. The rest each pod knows of itself alone; pipelines/resources.py puts it
into the environment.
"""

from collections.abc import Mapping
from pathlib import Path

from infra.text_lines import read_lines

# Where executors find the driver is its pod's address: pods have no names in DNS.
SETTINGS = {
    "DCCLIP_POD_IP": "spark.driver.host",
    # Executors belong to this pod and go when it goes, however that comes about.
    "DCCLIP_POD_NAME": "spark.kubernetes.driver.pod.name",
    "DCCLIP_NAMESPACE": "spark.kubernetes.namespace",
    # The driver's own image, so that both have the same code and the same Python at the same path.
    "DCCLIP_IMAGE": "spark.kubernetes.container.image",
}


def kubernetes_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Spark's settings for a driver in this pod.

    Raises:
        RuntimeError: the environment lacks something; the message says what.
    """
    missing = [name for name in SETTINGS if not environment.get(name)]
    if missing:
        raise RuntimeError(
            f"a Spark master k8s://… needs {', '.join(missing)} in the environment; a compiled pipeline sets "
            "them for its pods, elsewhere set them by hand"
        )
    folder = environment.get("DCCLIP_SPARK_SETTINGS")
    shared = read_settings(Path(folder)) if folder else {}
    return shared | {setting: environment[name] for name, setting in SETTINGS.items()}


def read_settings(folder: Path) -> dict[str, str]:
    """What the folder's `*.conf` files set, a name and a value a line, as spark-defaults.conf has them.

    Not by SPARK_CONF_DIR: a folder on Java's class path costs it the archive of Spark's classes.
    """
    lines = [line for file in sorted(folder.glob("*.conf")) for line in read_lines(file)]
    pairs = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    return {name: value.strip() for name, value in pairs}
