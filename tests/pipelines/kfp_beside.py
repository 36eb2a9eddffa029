"""What a real Kubeflow Pipelines server has beside the API that its client knows.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0: the release in the answer that it
is well (backend/src/apiserver/main.go:466), a run's workflow in the API's older half
(backend/api/v1beta1/run.proto:269), pods' logs (main.go:515), artifacts through the server of its pages
(frontend/server/app.ts:202). And how later releases tell a run: without `task_details`, by `tasks` where the
whole is asked for (pull request 13986, 6585b5143d, backend/api/v2beta1/run.proto:297).
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

GONE = '{"error_message":"Failed to read logs","error_details":"pods not found"}'


@dataclass
class Beside:
    """All of it, empty for a server that says nothing of itself.

    Attributes:
        version: the release.
        later: whether runs are told as after 2.17.
        nodes: of the workflow of every run, by id.
        logs: by pod, those that are still there.
        artifacts: by address.
    """

    version: str = ""
    later: bool = False
    nodes: dict[str, dict] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)

    @property
    def release(self) -> dict:
        """What the server says of itself."""
        return {"tag_name": self.version} if self.version else {}

    @property
    def queries(self) -> set[str]:
        """Queries that the client does not know."""
        return {"view"} if self.later else set()

    @property
    def unmodelled(self) -> set[str]:
        """Fields that the client does not know."""
        return {"tag_name", *(("task_count", "tasks") if self.later else ())}

    def told(self, run: dict, query: dict) -> dict:
        """A run as the release tells it."""
        if not self.later:
            return run
        details = run.pop("run_details", {}).get("task_details", [])
        tasks = [
            {
                "name": item["display_name"],
                "state": item["state"],
                "create_time": item["start_time"],
                "status_metadata": {"message": item.get("error", {}).get("message", "")},
            }
            for item in details
            if item["display_name"] != "executor" and not item["display_name"].endswith("-driver")
        ]
        return run | {"task_count": len(tasks)} | ({"tasks": tasks} if query.get("view") == "FULL" else {})

    def answer(self, path: str) -> str | None:
        """What is at a path that is none of the API's, None where nothing is."""
        if not self.version:
            return None
        parts = urlsplit(path)
        if found := re.fullmatch("/apis/v1beta1/runs/([^/]+)", parts.path):
            workflow = {"metadata": {"name": "dcclip-x"}, "status": {"nodes": self.nodes}}
            told = {"run": {"id": found[1]}, "pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}}
            return json.dumps(told)
        if found := re.fullmatch("/apis/v1alpha1/runs/[^/]+/nodes/([^/]+)/log", parts.path):
            return self.logs.get(found[1], GONE)
        if parts.path == "/artifacts/get":
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            return self.artifacts.get("{source}://{bucket}/{key}".format(**query), "")
        return None
