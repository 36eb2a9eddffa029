"""The curve in MLflow on a real database: points, one run over a restart, and a server that is not there."""

import mlflow
import pytest

from training.tracking import EXPERIMENT, LiveCurve


@pytest.fixture
def uri(tmp_path, monkeypatch) -> str:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    # Waiting for points asks the default store, which MLflow would make where the tests run.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def open_curve(uri: str, place) -> LiveCurve:
    return LiveCurve(uri, f"file://{place}/artifacts", "distill_student", place)


def test_points_are_in_one_run_also_after_a_restart(uri, tmp_path):
    first = open_curve(uri, tmp_path)
    first.add(0, {"image tower/loss": 2.0})
    again = open_curve(uri, tmp_path)
    again.add(10, {"image tower/loss": 1.0})
    for curve in (first, again):
        curve.close()
    mlflow.flush_async_logging()
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    points = client.get_metric_history(run.info.run_id, "image tower/loss")
    assert [(point.step, point.value) for point in points] == [(0, 2.0), (10, 1.0)]
    assert (run.info.run_name, run.info.status) == (f"distill_student-{tmp_path.name}", "FINISHED")


def test_without_an_address_nothing_is_logged(tmp_path):
    curve = LiveCurve("", "", "a", tmp_path)
    curve.add(0, {"loss": 1.0})
    curve.close()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_costs_no_training(tmp_path, capsys):
    curve = LiveCurve("http://127.0.0.1:9", "", "a", tmp_path)
    curve.add(0, {"loss": 1.0})
    curve.close()
    assert "[a] the curve is not in MLflow: " in capsys.readouterr().out
