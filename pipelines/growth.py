"""What a run begins from: the version of the data set before, the version that is trained on, the champion.

It is decided when the recipe is resolved, once for the same inputs (infra/versions.py), and is among the
values of the steps: so a rerun, whatever has been published or promoted since, finds its places again.
"""

from typing import Any

from components.data_version import DataSet
from components.distill_student import CHAMPION
from components.step import StepError, result_name
from infra.places import files_url, read_record
from infra.store import plain
from infra.versions import Version, Versions
from pipelines.recipes import Recipe
from pipelines.resolve import DATA_STEPS, PIPELINE_STEPS, STEPS, resolve

# What a picture looks like; with other values all are fetched again.
OF_PICTURES = ("image_size", "encode_format", "encode_quality")
# What a crawl puts up with; with other values its failures are tried again, whatever they were.
OF_FAILURES = (
    "user_agent_token",
    "max_bytes",
    "max_pixels",
    "max_redirects",
    "max_seconds_per_image",
    "allow_private_addresses",
)
# By data step the steps whose results it reads, under the names that it has for them (pipelines/full.py).
RAW, PAIRS = {"raw": "download_pairs"}, {"pairs": "filter_pairs"}
READS = {
    "download_pairs": {},
    "filter_pairs": RAW,
    "prepare_teacher": RAW | PAIRS,
    "embed_pairs": RAW | PAIRS | {"teacher": "prepare_teacher"},
    "select_pairs": RAW | PAIRS | {"embedded": "embed_pairs"},
}


def resolve_run(recipe: Recipe, root: str, engines: dict[str, str], pipeline: str) -> dict[str, dict]:
    """A pipeline's configs by step, empty for steps it does not have, and `dataset`: the version it is about.

    Raises:
        StepError: a file or version that the recipe names is not there, or the registry does not answer.
    """
    root = root.rstrip("/")
    steps, log = PIPELINE_STEPS[pipeline], Versions(root, recipe.dataset.name, engines["s3_endpoint"])
    configs = resolve(recipe, root, engines, steps)
    dataset: dict[str, Any] = {"name": recipe.dataset.name, "root": root, "engines": engines}
    if set(DATA_STEPS) <= set(steps):
        dataset["base"] = grow(configs, recipe.dataset, log)
        data = data_places(configs)
    else:
        version = choose_version(recipe.dataset, log)
        data = version.places
        places = {step: f"{root}/store/{place}" for step, place in data.items()}
        dataset |= {"version": version.number, "places": places}
    if recipe.distill_student.start == CHAMPION and "distill_student" in configs:
        go_on(configs["distill_student"], recipe, data, log)
    return {**{step: configs.get(step, {}) for step in STEPS}, "dataset": dataset}


def data_places(configs: dict[str, dict]) -> dict[str, str]:
    """Where the data steps' results will be (`STEP/NAME`).

    So that the whole, which has yet to make the data, decides as dcclip-train does, which finds them.
    """
    names: dict[str, str] = {}
    for step in DATA_STEPS:
        inputs = {argument: names[source] for argument, source in READS[step].items()}
        names[step] = result_name(plain(configs[step]), inputs)
    return {step: f"{step}/{name}" for step, name in names.items()}


def _what(config: dict) -> list:
    """Of a step's config what its result depends on."""
    return [config["values"], config["code"]]


def choose_version(dataset: DataSet, log: Versions) -> Version:
    """The version to train on.

    Raises:
        StepError: there is no such version.
    """
    version = log.read(dataset.version) if dataset.version else log.latest()
    if version is None:
        there = ", ".join(map(str, log.numbers())) or "none"
        wanted = f"version {dataset.version}" if dataset.version else "version"
        raise StepError(
            f"the data set {dataset.name} has no {wanted} (there is {there}); dcclip-data makes one"
        )
    return version


def grow(configs: dict[str, dict], dataset: DataSet, log: Versions) -> int:
    """Tell the data steps of the version that theirs grows from; returns its number, 0 where there is none.

    Changes `configs`.
    """
    crawl = configs["download_pairs"]
    base = choose_base(crawl, dataset, log)
    if base is None:
        return 0
    found = {step: known_of(base, step, crawl) for step in base.places}
    before, now = found["download_pairs"]["values"], crawl["values"]
    if any(before.get(name) != now[name] for name in OF_PICTURES):
        return 0
    retry_all = any(before.get(name) != now[name] for name in OF_FAILURES)
    limits = {"retry_after_days": dataset.retry_after_days, "retry_all": retry_all}
    crawl["values"] = {**now, "known": found["download_pairs"]["known"] | limits}
    embedding = configs["embed_pairs"]
    embedding["values"] = {**embedding["values"], "known": found["embed_pairs"]["known"]}
    teacher, before = configs["prepare_teacher"], found["prepare_teacher"]["values"]
    if dataset.keep_teacher and _without_known(before) == plain(teacher["values"]):
        teacher["values"] = {**teacher["values"], "known": found["prepare_teacher"]["known"]}
    return base.number


def choose_base(crawl: dict, dataset: DataSet, log: Versions) -> Version | None:
    """The version that was the latest when these lists, by these values and code, were first asked for."""
    if not dataset.grow:
        # So that growing later on finds what was made from nothing.
        log.decide(["base", *_what(crawl)], lambda: 0)
        return None
    number = log.decide(["base", *_what(crawl)], lambda: _number(log.latest()))
    return log.read(number) if number else None


def _number(version: Version | None) -> int:
    return version.number if version else 0


def known_of(base: Version, step: str, config: dict) -> dict:
    """`known`, as the step is told of what it left in the version, and the `values` it had.

    Raises:
        StepError: the place is gone.
    """
    place, endpoint = f"{config['root']}/{base.places[step]}", config["engines"]["s3_endpoint"]
    record = read_record(place, endpoint)
    if record is None:
        raise StepError(
            f"{place} of version {base.number} is gone, so no version can grow from it; begin anew under "
            "another name: dataset.name=NAME"
        )
    return {"known": {"version": base.number, "place": files_url(place, record)}, "values": record["values"]}


def _without_known(values: dict) -> dict:
    return {name: value for name, value in values.items() if name != "known"}


def go_on(distill: dict, recipe: Recipe, data: dict[str, str], log: Versions) -> None:
    """Name the champion that the student goes on from, if there is one; changes `distill`."""
    model = recipe.register_student.model
    inputs = ["champion", model, data, _what(distill)]
    number = log.decide(inputs, lambda: champion_number(distill["engines"]["mlflow_uri"], model))
    if number:
        distill["values"] = {**distill["values"], "champion": f"models:/{model}/{number}"}


def champion_number(mlflow_uri: str, model: str) -> int:
    """The champion's number, 0 where there is none.

    Raises:
        StepError: the registry does not answer.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    from training.champion import by_alias
    from training.registry_client import open_registry, trouble

    try:
        champion = by_alias(open_registry(mlflow_uri), model, CHAMPION)
    except (MlflowException, RequestException) as error:
        raise StepError(trouble(mlflow_uri, error)) from error
    return int(champion.version) if champion else 0
