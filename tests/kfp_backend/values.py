"""What passes between tasks: parameters in protobuf's Values, and the metadata of artifacts.

Places are files and lines of github.com/kubeflow/pipelines at tag 2.17.0, below backend/src/v2.
"""

import json
import math
import re
from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_backend.addresses import BackendError

# driver/util.go:41 and 45
CHANNEL = re.compile(r"\$.inputs.parameters\['(.+?)'\]")
# driver/resolve.go:202 to 252: the kind of Value that each type takes.
KINDS = {
    "STRING": "string_value",
    "NUMBER_INTEGER": "number_value",
    "NUMBER_DOUBLE": "number_value",
    "BOOLEAN": "bool_value",
    "LIST": "list_value",
    "STRUCT": "struct_value",
}


def as_value(item: Any) -> struct_pb2.Value:
    """JSON as a Value, in which every number is a double."""
    return json_format.ParseDict(item, struct_pb2.Value())


def plain_json(message: Any, whole_as_float: bool = False) -> Any:
    """A message as JSON that a step reads.

    Go writes a double without a fraction as `64` (google.golang.org/protobuf/internal/encoding/json,
    encode.go, WriteFloat), so that whole floats arrive as integers; KFP's local runner writes `64.0`, so that
    integers arrive as floats. A step must take both.
    """
    item = json_format.MessageToDict(message)
    return item if whole_as_float else _whole(item)


def _whole(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _whole(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_whole(value) for value in item]
    return int(item) if isinstance(item, float) and item.is_integer() and abs(item) < 1e21 else item


def check_type(name: str, kind: str, value: struct_pb2.Value) -> struct_pb2.Value:
    """An input parameter as its component declares it (driver/resolve.go:169 to 256)."""
    found = value.WhichOneof("kind")
    if found == KINDS[kind]:
        return value
    if kind == "STRING":
        return as_value(as_text(value))
    if found == "null_value":
        raise BackendError(f'failed to resolve inputs: got null for input parameter "{name}"')
    actual = found.removesuffix("_value")
    raise BackendError(
        f'failed to resolve inputs: input parameter "{name}" type mismatch: expect {kind}, got {actual}'
    )


def as_text(value: struct_pb2.Value) -> str:
    """A Value in a text (driver/util.go:138)."""
    item = plain_json(value)
    return item if isinstance(item, str) else "" if item is None else json.dumps(item)


def resolve_resource(text: str, parameters: dict[str, struct_pb2.Value]) -> str:
    """A size, an accelerator or an image that may be a channel (driver/resolve.go:818): strings alone."""
    found = CHANNEL.search(text)
    if not found:
        return text
    if found[1] not in parameters:
        raise BackendError("executorInput did not contain container Image input parameter")
    return parameters[found[1]].string_value


def read_output(text: str, path: str) -> pipeline_spec_pb2.ExecutorOutput:
    """What the executor wrote (component/launcher_v2.go:1232): Go's JSON has no NaN and no infinity."""

    def refuse(word: str) -> None:
        raise BackendError(
            f'failed to unmarshall ExecutorOutput in file "{path}": proto: syntax error: invalid value {word}'
        )

    try:
        parsed = json.loads(text, parse_constant=refuse)
        return json_format.ParseDict(parsed, pipeline_spec_pb2.ExecutorOutput())
    except (ValueError, json_format.ParseError) as error:
        raise BackendError(f'failed to unmarshall ExecutorOutput in file "{path}": {error}') from None


def record_metadata(name: str, metadata: struct_pb2.Struct) -> struct_pb2.Struct:
    """Metadata after ML Metadata has had them (metadata/converter.go:110 to 221).

    Null is refused, a truth value comes back as a number, a list or an object within another object.
    """
    kept = {"display_name": as_value(name), "store_session_info": as_value("{}")}
    for key, value in metadata.fields.items():
        kind = value.WhichOneof("kind")
        if kind == "null_value":
            raise BackendError(
                f'unable to produce MLMD artifact for output "{name}": failed to convert RuntimeArtifact to '
                "MLMD artifact: unknown/unsupported value type *structpb.Value_NullValue"
            )
        nested = {"list_value": "list", "struct_value": "struct"}.get(kind)
        item = plain_json(value)
        kept[key] = as_value({nested: item} if nested else float(item) if kind == "bool_value" else item)
    return struct_pb2.Struct(fields=kept)


def check_metrics(name: str, metadata: struct_pb2.Struct) -> None:
    """A system.Metrics artifact of a release without ML Metadata: numbers alone.

    (pull request 13986, 6585b5143d, backend/src/v2/component/launcher_v2.go:912)
    """
    for key, value in metadata.fields.items():
        if value.WhichOneof("kind") != "number_value" or not math.isfinite(value.number_value):
            raise BackendError(f'metric value "{key}" must be a number ({name})')
