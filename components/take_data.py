"""What dcclip-train begins with: the places of a data set's version, as the data steps left them."""

from kfp import dsl

from components.image import step_component


def take(config: dict, outputs: dict) -> None:
    """Make each step's artifact a reference to its place in the version.

    Args:
        config: from `components.resolve_recipe`: `name`, `version`, `places` by step, and `engines`.
        outputs: KFP artifacts by step.

    Raises:
        StepError: a place is not there any more.
    """
    from components.reference import refer, write_reference
    from components.step import StepError
    from infra.console import say
    from infra.places import read_record
    from infra.store import plain

    for step, output in outputs.items():
        place = config["places"][step]
        record = read_record(place, config["engines"]["s3_endpoint"])
        if record is None:
            raise StepError(
                f"{place} of version {plain(config['version'])} of the data set {config['name']} is gone; "
                "choose another: dataset.version=NUMBER"
            )
        write_reference(output, refer(step, place, record, reused=True))
    say("take_data", f"version {plain(config['version'])} of the data set {config['name']}")


@step_component()
def take_data(
    config: dict,
    raw: dsl.Output[dsl.Dataset],
    pairs: dsl.Output[dsl.Dataset],
    teacher: dsl.Output[dsl.Model],
    embedded: dsl.Output[dsl.Dataset],
    selection: dsl.Output[dsl.Dataset],
):
    """Find a version of the data set."""
    from components.step import failing_clearly
    from components.take_data import take
    from infra.object_store import endpoint_known

    outputs = {"download_pairs": raw, "filter_pairs": pairs, "prepare_teacher": teacher}
    outputs |= {"embed_pairs": embedded, "select_pairs": selection}
    with failing_clearly("take_data"), endpoint_known(config["engines"]["s3_endpoint"]):
        take(config, outputs)
