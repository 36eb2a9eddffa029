"""A Kubeflow Pipelines API on loopback, in memory, for contract tests: no Kubernetes is behind it.

Every request is held against kfp_server_api's own operations and models (kfp_contract.py) and refused when a
path, verb, query, field or type is not theirs; each answer is held against them too. What the models do not
say, such as which parameters a pipeline takes or how an error reads, follows the API server's source
(github.com/kubeflow/pipelines, backend/src/apiserver: server/ and template/v2_template.go).

    python -m tests.pipelines.kfp_server [PORT]

serves until it is interrupted; whoever asks for a run moves it on by one step.

Left out on purpose: what no test asks for. Such an operation is answered by 501.
"""

import contextlib
import email
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.pipelines.kfp_beside import Beside
from tests.pipelines.kfp_contract import Operation, faults, find_operation, parse

# Codes of gRPC, and the status that its gateway makes of them.
STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 12: 501, 13: 500, 14: 503, 16: 401}
KINDS = {
    "STRING": str,
    "STRUCT": dict,
    "LIST": list,
    "BOOLEAN": bool,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
}
START = datetime(2026, 1, 1, tzinfo=UTC)


class Refused(Exception):
    """An answer that is an error; `upload` ones have a body of another form."""

    def __init__(self, code: int, message: str, upload: bool = False):
        super().__init__(message)
        self.code, self.message, self.upload = code, message, upload

    @property
    def body(self) -> dict:
        """As the gateway writes it, or the upload's own handler."""
        if self.upload:
            return {"error_message": self.message, "error_details": self.message}
        detail = {
            "@type": "type.googleapis.com/google.rpc.Status",
            "code": self.code,
            "message": self.message,
        }
        return {"error": self.message, "code": self.code, "message": self.message, "details": [detail]}


@dataclass
class Fault:
    """An answer to give instead, to the next `times` requests of an operation; status 0 is none at all."""

    operation: str
    status: int
    body: str
    content_type: str = "application/json"
    times: int = 1


@dataclass
class Backend:
    """What the server knows, and how it answers."""

    token: str = ""
    multi_user: bool = False
    max_page: int = 100
    # The step at which runs fail, by its name in the DAG.
    failing: str = ""
    # What a real server has beside the API (kfp_beside.py); without a release it has nothing.
    beside: Beside = field(default_factory=Beside)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    experiments: dict[str, dict] = field(default_factory=dict)
    pipelines: dict[str, dict] = field(default_factory=dict)
    versions: dict[str, dict] = field(default_factory=dict)
    runs: dict[str, dict] = field(default_factory=dict)
    recurring_runs: dict[str, dict] = field(default_factory=dict)
    num_made: int = 0

    def new(self, kind: str) -> tuple[str, str]:
        """(id, time) of something new; time goes a second on with each."""
        self.num_made += 1
        return f"{kind}-{self.num_made}", self.now()

    def now(self) -> str:
        """The server's time."""
        return (START + timedelta(seconds=self.num_made)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def healthz_service_get_healthz(self, **_: Any) -> dict:
        return {"multi_user": self.multi_user, "pipeline_store": "database"} | self.beside.release

    # Experiments

    def experiment_service_list_experiments(self, query: dict, **_: Any) -> dict:
        return self.page("experiments", self.experiments, query, namespace=query.get("namespace"))

    def experiment_service_get_experiment(self, experiment_id: str, **_: Any) -> dict:
        return known(self.experiments, "Experiment", experiment_id)

    def experiment_service_create_experiment(self, body: dict, **_: Any) -> dict:
        require(body.get("display_name"), "Experiment name is empty")
        self.require_new(self.experiments, "Experiment", body)
        experiment_id, now = self.new("experiment")
        made = body | {"experiment_id": experiment_id, "created_at": now, "storage_state": "AVAILABLE"}
        self.experiments[experiment_id] = made
        return made

    # Pipelines and versions

    def pipeline_service_list_pipelines(self, query: dict, **_: Any) -> dict:
        return self.page("pipelines", self.pipelines, query, namespace=query.get("namespace"))

    def pipeline_service_create_pipeline(self, body: dict, **_: Any) -> dict:
        name = body.get("name") or body.get("display_name")
        require(name, "pipeline's name cannot be empty")
        self.require_new(self.pipelines, "Pipeline", body)
        pipeline_id, now = self.new("pipeline")
        made = body | {"pipeline_id": pipeline_id, "name": name, "created_at": now}
        self.pipelines[pipeline_id] = made
        return made

    def upload_pipeline(self, query: dict, file: bytes, **_: Any) -> dict:
        spec = read_spec(file)
        named = {"display_name": query.get("name", ""), "namespace": query.get("namespace", "")}
        try:
            made = self.pipeline_service_create_pipeline({key: word for key, word in named.items() if word})
        except Refused as error:
            raise Refused(error.code, "Failed to create a pipeline and a pipeline version", True) from None
        self.add_version(made["pipeline_id"], made["name"], spec, query)
        return made

    def pipeline_service_list_pipeline_versions(self, pipeline_id: str, query: dict, **_: Any) -> dict:
        known(self.pipelines, "Pipeline", pipeline_id)
        return self.page("pipeline_versions", self.versions, query, pipeline_id=pipeline_id)

    def upload_pipeline_version(self, query: dict, file: bytes, **_: Any) -> dict:
        spec = read_spec(file)
        if query.get("pipelineid") not in self.pipelines:
            raise Refused(3, "Failed to create a pipeline version", True)
        taken = [
            item["name"] for item in self.versions.values() if item["pipeline_id"] == query["pipelineid"]
        ]
        if query["name"] in taken:
            raise Refused(6, "Failed to create a pipeline version", True)
        return self.add_version(query["pipelineid"], query["name"], spec, query)

    def add_version(self, pipeline_id: str, name: str, spec: dict, query: dict) -> dict:
        version_id, now = self.new("version")
        made = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": version_id,
            "name": name,
            "display_name": name,
            "description": query.get("description", ""),
            "created_at": now,
            "pipeline_spec": spec,
        }
        self.versions[version_id] = made
        return made

    # Runs

    def run_service_list_runs(self, query: dict, **_: Any) -> dict:
        return self.page("runs", self.runs, query)

    def run_service_create_run(self, body: dict, **_: Any) -> dict:
        require(body.get("display_name"), "The run name is empty. Please specify a valid name")
        self.spec_of(body)
        run_id, now = self.new("run")
        made = body | {"run_id": run_id, "created_at": now, "state": "PENDING", "storage_state": "AVAILABLE"}
        self.runs[run_id] = made
        return made

    def run_service_get_run(self, run_id: str, query: dict, **_: Any) -> dict:
        """As it is, one step further than when it was last asked for."""
        run = known(self.runs, "Run", run_id)
        told = self.beside.told(json.loads(json.dumps(run)), query)
        if "view" not in query:
            self.advance(run)
        return told

    def advance(self, run: dict) -> None:
        """End the step that runs and begin the next, in the order of the DAG."""
        if run["state"] in ("SUCCEEDED", "FAILED", "CANCELED"):
            return
        details = run.setdefault("run_details", {"task_details": []})["task_details"]
        self.num_made += 60
        names = order_of(self.spec_of(run))
        num_begun = sum(detail["display_name"] in names for detail in details)
        for detail in details:
            failed = detail["display_name"] == self.failing and detail["state"] == "RUNNING"
            detail["state"] = "FAILED" if failed else "SUCCEEDED"
            if failed:
                detail["error"] = {"code": 2, "message": "Error (exit code 1)"}
                run["state"] = "FAILED"
        if run["state"] == "FAILED" or num_begun == len(names):
            run |= {"state": "FAILED" if run["state"] == "FAILED" else "SUCCEEDED", "finished_at": self.now()}
            return
        run["state"] = "RUNNING"
        for name in (f"{names[num_begun]}-driver", names[num_begun], "executor"):
            self.num_made += 1
            detail = {"display_name": name, "state": "RUNNING", "run_id": run["run_id"]}
            details.append(detail | {"task_id": f"task-{self.num_made}", "start_time": self.now()})

    def spec_of(self, body: dict) -> dict:
        """The pipeline that a run is of; raises Refused for a run that cannot be."""
        known(self.experiments, "Experiment", body.get("experiment_id", ""))
        reference = body.get("pipeline_version_reference")
        if bool(reference) == bool(body.get("pipeline_spec")):
            raise Refused(3, "Please specify a pipeline source: a version or a specification")
        if reference:
            version = known(self.versions, "PipelineVersion", reference.get("pipeline_version_id", ""))
            spec = version["pipeline_spec"]
        else:
            spec = body["pipeline_spec"]
        spec = spec.get("pipeline_spec", spec)
        check_spec(spec)
        check_inputs(spec, body.get("runtime_config", {}).get("parameters", {}))
        return spec

    # Recurring runs

    def recurring_run_service_list_recurring_runs(self, query: dict, **_: Any) -> dict:
        wanted = query.get("experiment_id")
        return self.page("recurringRuns", self.recurring_runs, query, experiment_id=wanted)

    def recurring_run_service_create_recurring_run(self, body: dict, **_: Any) -> dict:
        require(body.get("display_name"), "Recurring run name is empty")
        self.spec_of(body)
        at_once = int(body.get("max_concurrency", 0))
        require(1 <= at_once <= 10, f"The max concurrency is out of range. Support 1-10. Received {at_once}")
        cron = body.get("trigger", {}).get("cron_schedule", {}).get("cron")
        if cron is not None:
            check_cron(cron)
        made_id, now = self.new("recurring")
        status = "ENABLED" if body.get("mode") == "ENABLE" else "DISABLED"
        stamps = {"created_at": now, "updated_at": now, "status": status, "max_concurrency": str(at_once)}
        # Its mode is asked for and not told again.
        made = {key: item for key, item in body.items() if key != "mode"}
        self.recurring_runs[made_id] = made | stamps | {"recurring_run_id": made_id}
        return self.recurring_runs[made_id]

    def recurring_run_service_get_recurring_run(self, recurring_run_id: str, **_: Any) -> dict:
        return known(self.recurring_runs, "RecurringRun", recurring_run_id)

    def recurring_run_service_disable_recurring_run(self, recurring_run_id: str, **_: Any) -> dict:
        known(self.recurring_runs, "RecurringRun", recurring_run_id)["status"] = "DISABLED"
        return {}

    def recurring_run_service_enable_recurring_run(self, recurring_run_id: str, **_: Any) -> dict:
        known(self.recurring_runs, "RecurringRun", recurring_run_id)["status"] = "ENABLED"
        return {}

    def recurring_run_service_delete_recurring_run(self, recurring_run_id: str, **_: Any) -> dict:
        known(self.recurring_runs, "RecurringRun", recurring_run_id)
        del self.recurring_runs[recurring_run_id]
        return {}

    # What they share

    def require_new(self, there: dict[str, dict], kind: str, body: dict) -> None:
        """Names are unique in a namespace."""
        if any(named(item) == named(body) for item in there.values()):
            raise Refused(6, f"Failed to create: AlreadyExistError: {kind} {body.get('display_name')} exists")

    def page(self, name: str, there: dict[str, dict], query: dict, **wanted: str | None) -> dict:
        """A page of a list, and the token of the next."""
        found = [
            item
            for item in there.values()
            if fits_filter(item, query.get("filter"))
            and all(item.get(key, "") == value for key, value in wanted.items() if value is not None)
        ]
        size = min(int(query.get("page_size") or 20), self.max_page)
        start = int(query.get("page_token") or 0)
        page = {name: found[start : start + size], "total_size": len(found)}
        return page | ({"next_page_token": str(start + size)} if start + size < len(found) else {})


def named(item: dict) -> tuple[str, str]:
    """What makes a name unique."""
    return item.get("namespace", ""), item.get("display_name") or item.get("name", "")


def known(there: dict[str, dict], kind: str, key: str) -> dict:
    """What has that id; raises Refused when nothing has."""
    if key not in there:
        raise Refused(5, f"Failed to get: ResourceNotFoundError: {kind} {key} not found")
    return there[key]


def require(fits: Any, message: str) -> None:
    """Raises Refused, as for input that is not valid."""
    if not fits:
        raise Refused(3, f"Invalid input error: {message}")


def fits_filter(item: dict, text: str | None) -> bool:
    """Whether an item equals what the filter's predicates ask for (backend/api/v2beta1/filter.proto)."""
    predicates = json.loads(text).get("predicates", []) if text else []
    for predicate in predicates:
        require(predicate["operation"] in (1, "EQUALS"), f"operation {predicate['operation']} in a filter")
    return all(item.get(predicate["key"]) == predicate["stringValue"] for predicate in predicates)


def read_spec(file: bytes) -> dict:
    """An uploaded pipeline; raises Refused for a file that is none."""
    try:
        spec = next(yaml.safe_load_all(file))
        check_spec(spec)
    except (yaml.YAMLError, StopIteration, Refused) as error:
        raise Refused(3, f"Failed to read a pipeline spec file: {error}", True) from None
    return spec


def check_spec(spec: dict) -> None:
    """Raises Refused for what is no pipeline specification of version 2.1.0."""
    try:
        parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise Refused(3, f"invalid v2 pipeline spec: {error}") from None
    require(parsed.schema_version == "2.1.0", "KFP only supports schema version 2.1.0")
    require(parsed.pipeline_info.name, "invalid v2 pipeline spec: name is empty")


def check_inputs(spec: dict, parameters: dict) -> None:
    """Raises Refused for parameters that the pipeline does not take."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, about in declared.items():
        if name in parameters:
            kind = about["parameterType"]
            fits = isinstance(parameters[name], KINDS[kind])
            require(fits, f"input parameter {name} requires type {kind.lower()}")
        else:
            given = about.get("isOptional") or "defaultValue" in about
            require(given, f"parameter {name} is not optional, yet has neither default value nor user value")
    extra = sorted(set(parameters) - set(declared))
    require(not extra, f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")


def check_cron(text: str) -> None:
    """Raises Refused for what robfig/cron 1 does not parse: five fields are read as without a day of week."""
    fields = [*text.split(), "*"] if len(text.split()) == 5 else text.split()
    require(len(fields) == 6, f"Schedule cron is not a supported format. Expected 5 or 6 fields: {text}")
    for text, low, high in zip(fields, (0, 0, 0, 1, 1, 0), (59, 59, 23, 31, 12, 6), strict=True):
        fits = not text.isdecimal() or low <= int(text) <= high
        require(fits, f"Schedule cron is not a supported format. {text} is not within {low} and {high}")


def order_of(spec: dict) -> list[str]:
    """The steps of a DAG, each after those that it needs; those of a pipeline within stand in its place."""

    def steps(component: dict) -> list[str]:
        tasks = component["dag"]["tasks"]
        done: list[str] = []
        while len(done) < len(tasks):
            done += [
                name
                for name, task in sorted(tasks.items())
                if name not in done and set(task.get("dependentTasks", [])) <= set(done)
            ]
        inner = {name: spec["components"][tasks[name]["componentRef"]["name"]] for name in done}
        return [step for name in done for step in (steps(inner[name]) if "dag" in inner[name] else [name])]

    return steps(spec["root"])


class Handler(BaseHTTPRequestHandler):
    """HTTP to the backend's methods, each request and answer held against the contract."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def handle_any(self) -> None:
        backend = self.server.backend
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.turn:
            try:
                found = find_operation(self.command, urlsplit(self.path).path)
                if found is None and (text := backend.beside.answer(self.path)) is not None:
                    return self.reply(200, text.encode(), "application/json")
                if found is None:
                    raise self.violation(f"no operation {self.command} {self.path}")
                operation, names = found
                backend.asked.append(operation.name)
                if fault := self.next_fault(operation.name):
                    return self.reply(fault.status, fault.body.encode(), fault.content_type)
                self.reply_json(200, self.answer(operation, names, body))
            except Refused as error:
                self.reply_json(STATUS[error.code], error.body)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = handle_any

    def answer(self, operation: Operation, names: dict[str, str], body: bytes) -> dict:
        """What the backend says to a request that keeps the contract."""
        backend = self.server.backend
        if backend.token and self.headers.get("Authorization") != f"Bearer {backend.token}":
            raise Refused(16, "Unauthenticated: Request header error: there is no user identity header")
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        if unknown := sorted(set(query) - operation.queries - backend.beside.queries):
            raise self.violation(f"{operation.name} takes no query {', '.join(unknown)}")
        asked = names | {"query": query, **self.content(operation, body)}
        method = getattr(backend, operation.name, None)
        if method is None:
            raise self.violation(f"{operation.name} is not in this backend", 12)
        answer = method(**asked)
        modelled = {key: item for key, item in answer.items() if key not in backend.beside.unmodelled}
        if wrong := faults(modelled, operation.response, "answer", asked=False):
            raise self.violation(f"this backend's {operation.name}: {'; '.join(wrong)}", 13)
        return answer

    def content(self, operation: Operation, body: bytes) -> dict[str, Any]:
        """The request's body or file, held against the contract."""
        kind = self.headers.get("Content-Type", "")
        if operation.file:
            return {"file": self.file(operation, kind, body)}
        if not operation.body:
            if body:
                raise self.violation(f"{operation.name} takes no body")
            return {}
        if not kind.startswith("application/json"):
            raise self.violation(f"{operation.name} takes JSON, not {kind}")
        value = json.loads(body)
        if wrong := faults(value, operation.body, "body", asked=True):
            raise self.violation(f"{operation.name}: {'; '.join(wrong)}")
        parse(value, operation.body)
        return {"body": value}

    def file(self, operation: Operation, kind: str, body: bytes) -> bytes:
        """The one file of a multipart form."""
        form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        parts = form.get_payload() if form.is_multipart() else []
        names = [part.get_param("name", header="content-disposition") for part in parts]
        if names != [operation.file] or not parts[0].get_filename("").endswith(".yaml"):
            raise self.violation(f"{operation.name} takes one file {operation.file}, not {names}")
        return parts[0].get_payload(decode=True)

    def violation(self, message: str, code: int = 3) -> Refused:
        """Remember what no client may ask, or no server answer, and refuse it."""
        self.server.backend.violations.append(message)
        return Refused(code, message)

    def next_fault(self, operation: str) -> Fault | None:
        """The answer to give instead, once less."""
        for fault in self.server.backend.faults:
            if fault.operation == operation and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def reply_json(self, status: int, value: dict) -> None:
        self.reply(status, json.dumps(value).encode(), "application/json")

    def reply(self, status: int, body: bytes, content_type: str) -> None:
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """One backend behind a port of loopback."""

    daemon_threads = True

    def __init__(self, backend: Backend, port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.backend, self.turn = backend, threading.Lock()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def serving(backend: Backend) -> Iterator[str]:
    """The endpoint of a server that answers while the context lasts."""
    with Server(backend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.url
        finally:
            server.shutdown()


if __name__ == "__main__":
    with Server(Backend(), int(sys.argv[1]) if sys.argv[1:] else 0) as only:
        print(only.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            only.serve_forever()
