"""Who reaches whom: the crawler the internet and none of our services, trainers the reverse."""

import pytest

from pipelines.resources import PLACEMENTS
from tests.infra.manifests import OVERLAYS, Network, pod_templates, render

STEP = {"app.kubernetes.io/part-of": "dcclip", "dcclip/role": "step"}
INTERNET = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
# Nodes, pods, a cloud's metadata, loopback; and the same within IPv6.
PRIVATE = ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1")
PRIVATE_6 = ("::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::a00:1")


def step(network: str) -> dict:
    return {"namespace": "dcclip", "labels": STEP | {"dcclip/network": network}}


def other(namespace: str, **labels: str) -> dict:
    return {"namespace": namespace, "labels": labels}


CRAWLER, TRAINER = step("internet"), step("cluster")
STRANGER = other("default", app="anything")


@pytest.fixture(scope="module", params=OVERLAYS)
def rendered(request) -> list[dict]:
    """An overlay's objects."""
    return render(request.param)


@pytest.fixture(scope="module")
def network(rendered) -> Network:
    """An overlay's policies."""
    return Network(rendered)


@pytest.fixture(scope="module")
def pods(rendered) -> dict[str, dict]:
    """An overlay's pods as ends; KubeRay adds a label."""
    ends = {}
    for name, pod in pod_templates(rendered).items():
        labels = dict(pod["metadata"]["labels"])
        if name.startswith("ray"):
            labels["ray.io/node-type"] = "head" if name == "ray head" else "worker"
        ends[name] = {"namespace": pod["metadata"]["namespace"], "labels": labels}
    return ends


def test_steps_are_on_the_side_that_their_work_asks_for():
    outside = {name for name, wanted in PLACEMENTS.items() if wanted.internet}
    assert outside == {"download-pairs", "prepare-teacher"}


@pytest.mark.parametrize("port", [80, 443, 8080])
def test_the_crawler_reaches_the_internet(network, port):
    assert all(network.reaches(CRAWLER, each, port) for each in INTERNET)


@pytest.mark.parametrize("each", PRIVATE + PRIVATE_6)
def test_the_crawler_reaches_no_private_address(network, each):
    assert not network.reaches(CRAWLER, each, 80)


def test_the_crawler_reaches_none_of_our_services(network, pods):
    assert not network.reaches(CRAWLER, pods["mlflow"], 5000)
    for name in [name for name in pods if name.startswith("ray")]:
        assert not any(network.reaches(CRAWLER, pods[name], port) for port in (6379, 8265, 10001, 20000))
    assert not network.reaches(CRAWLER, TRAINER, 7078)
    if "postgres" in pods:
        assert not network.reaches(CRAWLER, pods["postgres"], 5432)


def test_nobody_but_the_crawler_reaches_the_internet(network, pods):
    for pod in [TRAINER, *pods.values()]:
        assert not any(network.reaches(pod, each, port) for each in INTERNET for port in (80, 443))


def test_trainers_reach_ray_and_the_registry(network, pods):
    # A step is a node of Ray's for as long as it works: each speaks to all others.
    for name in [name for name in pods if name.startswith("ray")]:
        assert all(network.reaches(TRAINER, pods[name], port) for port in (6379, 20000))
        assert network.reaches(pods[name], TRAINER, 20000)
    assert network.reaches(TRAINER, pods["mlflow"], 5000)
    for name in [name for name in pods if name.startswith("ray")]:
        assert network.reaches(pods[name], pods["mlflow"], 5000)
        assert network.reaches(pods[name], pods["ray head"], 6379)
        assert network.reaches(pods["ray head"], pods[name], 30000)


@pytest.mark.parametrize("driver", [CRAWLER, TRAINER], ids=["crawler", "trainer"])
def test_spark_works_from_every_step(network, pods, driver):
    executor = pods["spark executor"]
    for port in (7078, 7079):
        assert network.reaches(executor, driver, port) and network.reaches(driver, executor, port)
    assert network.reaches(executor, executor, 7079)
    assert not network.reaches(executor, driver, 22)


def test_strangers_reach_nothing(network, pods):
    for pod in [CRAWLER, TRAINER, *pods.values()]:
        ports = (5000, 5432, 6379, 7078, 8265, 8333, 10001)
        assert not any(network.reaches(STRANGER, pod, port) for port in ports)


def test_kuberay_sees_rays_head_alone(network, pods):
    operator = other("kuberay-system", **{"app.kubernetes.io/name": "kuberay-operator"})
    assert network.reaches(operator, pods["ray head"], 8265)
    others = [pods["mlflow"], pods["ray cpu"], TRAINER, CRAWLER]
    assert not any(network.reaches(operator, pod, port) for pod in others for port in (5000, 8265))


def test_names_are_found_and_kubeflow_is_reached(network, pods):
    dns = other("kube-system", **{"k8s-app": "kube-dns"})
    assert all(network.reaches(pod, dns, 53) for pod in [CRAWLER, TRAINER, *pods.values()])
    kubeflow = other("kubeflow", app="metadata-grpc-server")
    assert network.reaches(CRAWLER, kubeflow, 8080) and network.reaches(TRAINER, kubeflow, 8080)
    assert not network.reaches(pods["spark executor"], kubeflow, 8080)
    beside = other("dcclip", **{"application-crd-id": "kubeflow-pipelines"})
    assert network.reaches(CRAWLER, beside, 8887) and not network.reaches(CRAWLER, beside, 3306)


def test_only_steps_and_rays_head_reach_the_api_server(network, pods):
    api = {True: "172.18.0.2", False: "192.0.2.1"}["postgres" in pods]
    reached = {name for name, pod in pods.items() if network.reaches(pod, api, 6443)}
    assert reached == {"ray head"}
    assert network.reaches(CRAWLER, api, 6443) and network.reaches(TRAINER, api, 6443)


def test_the_database_serves_the_registry_alone(network, pods):
    if "postgres" not in pods:
        assert network.reaches(pods["mlflow"], "192.0.2.3", 5432)
        assert not network.reaches(TRAINER, "192.0.2.3", 5432)
        return
    reached = {name for name, pod in pods.items() if network.reaches(pod, pods["postgres"], 5432)}
    assert reached == {"mlflow"}
    assert not network.reaches(TRAINER, pods["postgres"], 5432)


def test_all_of_ours_reach_the_store(network, pods):
    store, port = (pods["object-store"], 8333) if "object-store" in pods else ("192.0.2.2", 443)
    clients = {name for name in pods if name.startswith(("ray", "spark", "mlflow"))}
    assert all(network.reaches(pods[name], store, port) for name in clients)
    assert network.reaches(CRAWLER, store, port) and network.reaches(TRAINER, store, port)
