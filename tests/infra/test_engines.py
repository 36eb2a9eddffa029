"""Clusters that do not answer: told at once, in one line, whatever the engine would do."""

import socket

import pytest

from components.step import explain
from infra.engines import EngineGone, own_address
from spark_jobs.session import require_master, spark_session
from training.ray_edge import ray_session


@pytest.fixture
def listening() -> str:
    """HOST:PORT of somebody who takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deserted() -> str:
    """HOST:PORT of nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


def test_whoever_answers_tells_our_own_address(listening):
    assert own_address("it", listening) == "127.0.0.1"


@pytest.mark.parametrize("address", ["no-port", "127.0.0.1:", "127.0.0.1:none", "name.invalid:1"])
def test_what_is_no_address_is_shown(address):
    with pytest.raises(EngineGone, match=f"it at '{address}' .HOST:PORT. does not answer"):
        own_address("it", address)


def test_a_ray_cluster_that_is_not_there_is_told_in_one_line(deserted):
    with pytest.raises(EngineGone) as caught, ray_session(deserted):
        pass
    line = explain(caught.value)
    assert line.startswith(f"the Ray cluster at '{deserted}' (HOST:PORT) does not answer")
    assert line.endswith("start it or mend the address, then run again")


def test_a_spark_master_that_is_not_there_is_told_in_one_line(deserted):
    with pytest.raises(EngineGone, match="the Spark master at"), spark_session("t", f"spark://{deserted}"):
        pass


def test_of_several_spark_masters_one_is_enough(deserted, listening):
    require_master(f"spark://{deserted},{listening}")
    require_master(f"spark://{listening},{deserted}")
    require_master("local[2]")
