"""A registry behind a gateway that gives up too early: what is written is written, and told to have failed.

MLflow's client sends such a request again, so the registry does everything twice: runs, versions, aliases.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from toy_training import TINY
from werkzeug.serving import make_server

from training import registry

pytestmark = pytest.mark.parametrize("shape", [TINY], indirect=True, ids=[TINY.family])


class ImpatientGateway:
    """Passes requests on; the first answer to each that writes is lost, and a 504 comes instead."""

    def __init__(self, app):
        self.app, self.seen, self.lost = app, set(), []

    def __call__(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method == "GET" or path.endswith("/search") or path in self.seen:
            return self.app(environ, start_response)
        self.seen.add(path)
        self.lost.append(path)
        list(self.app(environ, lambda *answer: None))
        start_response("504 Gateway Timeout", [("Content-Length", "0")])
        return []


@pytest.fixture
def gateway(tmp_path, monkeypatch) -> Iterator[tuple[str, ImpatientGateway]]:
    """(the address of a registry behind such a gateway, the gateway)."""
    database = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", database)
    monkeypatch.setenv("_MLFLOW_SERVER_REGISTRY_STORE", database)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", f"file://{tmp_path}/artifacts")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    # Making its tables takes a registry long on a busy machine.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    from mlflow.server import app

    before, gateway = mlflow.get_tracking_uri(), ImpatientGateway(app)
    server = make_server("127.0.0.1", 0, gateway, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", gateway
    server.shutdown()
    thread.join()
    server.server_close()
    mlflow.set_tracking_uri(before)


def candidate(student: Path, exam: Path, name: str, share: float) -> registry.Candidate:
    """A student that is right on the first pictures of 1,000."""
    hits = {lang: np.arange(1_000) < 1_000 * share for lang in ("zh", "en")}
    return registry.Candidate("dcclip", name, student, (), hits, exam, "colours", {}, {"top1_zh": share})


def test_what_is_done_twice_counts_once(gateway, student_folder, exam_folder, tmp_path):
    address, impatient = gateway
    registry.connect(address, f"file://{tmp_path}/artifacts", "dcclip")
    done = []
    for name, share in (("first", 0.5), ("second", 0.7), ("third", 0.6)):
        impatient.seen.clear()
        done.append(registry.register(candidate(student_folder, exam_folder, name, share), 0.01))
    assert [row["alias"] for row in done] == ["champion", "champion", "challenger"]
    assert sum(path.endswith("model-versions/create") for path in impatient.lost) == 3
    client = MlflowClient()
    found = client.search_model_versions("name='dcclip'")
    counted = [version for version in found if "duplicate_of" not in version.tags]
    assert sorted(version.tags["identity"] for version in counted) == ["first", "second", "third"]
    for row, alias in zip(done[1:], ("champion", "challenger"), strict=True):
        assert int(client.get_model_version_by_alias("dcclip", alias).version) == row["version"]
    assert [model.name for model in client.search_registered_models()] == ["dcclip"]
    mlflow.pyfunc.load_model("models:/dcclip@champion")
