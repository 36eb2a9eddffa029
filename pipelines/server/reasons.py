"""What a step of a run has said: its last line while it runs, and why it failed.

From its pod's log as long as the pod is there, which is an hour after the run, and then from the artifact
`executor-logs`, which each attempt leaves in the pipeline root: through Kubeflow's pages, which have the keys
of their store, or from the store itself where the root was given and this machine may read it.
"""

import re
from collections.abc import Iterator

from infra import object_store
from infra.console import ANSI, MARKED
from infra.object_store import SCHEME, StoreError
from infra.text_lines import split_lines
from pipelines.server.connection import Client, ServerError
from pipelines.server.run import Run, get_text
from pipelines.server.workflow import Attempt

MAX_CHARS = 1_000
FAILED = "failed: "
MINIO = "minio://"


def reason_of(client: Client, run: Run, task: str, attempt: Attempt | None) -> str:
    """What a step's last attempt, or the one given, said last; empty where no log has it."""
    for log in _logs(client, run, task, attempt):
        lines = [text for _, text in marked_lines(log) if text.startswith(FAILED)]
        if lines:
            return lines[-1].removeprefix(FAILED)[:MAX_CHARS]
    return ""


def last_line(client: Client, run: Run, attempt: Attempt) -> str:
    """What a step that runs said last."""
    lines = marked_lines(_of_the_pod(client, run, attempt))
    return lines[-1][1][:MAX_CHARS] if lines else ""


def marked_lines(log: str) -> list[tuple[str, str]]:
    """(step, text) of the lines that a person should see."""
    return [found.groups() for line in split_lines(log) if (found := MARKED.search(ANSI.sub("", line)))]


def _logs(client: Client, run: Run, task: str, attempt: Attempt | None) -> Iterator[str]:
    """The log, from each place that may have it."""
    if attempt is not None:
        yield _of_the_pod(client, run, attempt)
        if attempt.log:
            yield _of_the_page(client, attempt.log)
    if run.pipeline_root.startswith((SCHEME, MINIO)):
        yield _of_the_store(run, task, attempt)


def _of_the_pod(client: Client, run: Run, attempt: Attempt) -> str:
    """The log of a pod that is still there; the server answers with an error's text where it is not."""
    return _asked(client, f"/apis/v1alpha1/runs/{run.run_id}/nodes/{attempt.pod}/log")


def _of_the_page(client: Client, uri: str) -> str:
    """An artifact through the server of Kubeflow's pages."""
    source, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return _asked(client, "/artifacts/get", source=source, bucket=bucket, key=key)


def _asked(client: Client, path: str, **query: str) -> str:
    try:
        return get_text(client, path, **query)
    except ServerError:
        # Gone, or an endpoint without pages: the next place may have it.
        return ""


def _of_the_store(run: Run, task: str, attempt: Attempt | None) -> str:
    """The latest log in the run's part of the pipeline root."""
    endpoint, root = run.parameters.get("s3_endpoint", ""), run.pipeline_root.rstrip("/")
    url = f"{root.replace(MINIO, SCHEME, 1)}/{run.pipeline}/{run.run_id}/{task}/"
    number = r"\d+" if attempt is None else str(attempt.number)
    try:
        names = [item.name for item in object_store.list_items(url, endpoint)]
        logs = [name for name in names if re.fullmatch(rf"[^/]+/executor-logs-{number}", name)]
        latest = max(logs, key=lambda name: int(name.rpartition("-")[2]), default="")
        found = object_store.read_bytes(url + latest, endpoint) if latest else None
    except StoreError:
        # Another store than this machine's keys are for.
        return ""
    return (found or b"").decode(errors="replace")
