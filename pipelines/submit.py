"""`dcclip submit`: check the parameters, upload the version, run it in an experiment, and follow it."""

import argparse
import sys
import time
from typing import Any

from components.step import StepError
from pipelines.server.connection import Client, Server, connect, told_clearly
from pipelines.server.package import Package, make_package
from pipelines.server.parameters import check_parameters, read_parameters
from pipelines.server.uploads import Uploaded, upload
from pipelines.server.watch import Progress, failure, follow


class RunFailed(StepError):
    """A run that failed by itself, and that nobody has stopped."""


def submit(options: argparse.Namespace) -> None:
    """Start a run of a pipeline and print where it is to be seen.

    Raises:
        StepError: the parameters or the server are at fault, or with `--watch` the run.
    """
    if options.attempts < 1 or (options.attempts > 1 and not options.watch):
        raise StepError("--attempts is a number from 1 on, and more than one needs --watch")
    package, values = prepare(options)
    client = connect(server_of(options))
    version = send(client, package)
    for left in reversed(range(options.attempts)):
        run = _start(client, package, version, values, options)
        print(f"run         {run.display_name}")
        url = client.page(f"runs/details/{run.run_id}")
        print(f"see         {url}", flush=True)
        try:
            if options.watch:
                _watch(client, package, run.run_id, url, options.every)
            return
        except RunFailed as error:
            if not left:
                raise
            print(f"{error}\nsubmitting again, {left} of {options.attempts} runs left; what is done is found")


def prepare(options: argparse.Namespace) -> tuple[Package, dict[str, Any]]:
    """The compiled pipeline and its checked parameters; what a person should know goes to standard error.

    Raises:
        StepError: no such pipeline, or parameters that cannot work.
    """
    package = make_package(options.pipeline)
    values = read_parameters(package, options.parameters, options.set)
    notes = check_parameters(package, values)
    notes += [
        f"no registry is in the image's name, {image}: set DCCLIP_IMAGE if the cluster lacks it"
        for image in package.images
        if "/" not in image
    ]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return package, values


def server_of(options: argparse.Namespace) -> Server:
    """The server that the options name."""
    return Server(options.endpoint, options.namespace, options.existing_token, options.ssl_ca_cert)


def send(client: Client, package: Package) -> Uploaded:
    """The package's version on the server, with a word about it."""
    version = upload(client, package)
    state = "uploaded" if version.new else "was there already"
    print(f"pipeline    {package.name}, version {package.version}: {state}")
    return version


def experiment_of(client: Client, name: str) -> str:
    """The id of an experiment, made if it is not there."""
    with told_clearly(client.host):
        experiment_id = client.create_experiment(name).experiment_id
    print(f"experiment  {name}")
    return experiment_id


def _start(
    client: Client, package: Package, version: Uploaded, values: dict[str, Any], options: argparse.Namespace
) -> Any:
    """The run, just created."""
    experiment_id = experiment_of(client, options.experiment)
    with told_clearly(client.host):
        return client.run_pipeline(
            experiment_id,
            options.run_name or f"{package.name} {time.strftime('%Y-%m-%d %H:%M:%S')}",
            params=values,
            pipeline_id=version.pipeline_id,
            version_id=version.version_id,
            pipeline_root=options.pipeline_root or None,
            service_account=options.service_account or None,
        )


def _watch(client: Client, package: Package, run_id: str, url: str, seconds: float) -> None:
    """Follow the run to its end.

    Raises:
        StepError: it did not succeed.
    """
    progress = Progress(package.name, package.tasks, _tell)
    try:
        run = follow(client, run_id, progress, seconds)
    except KeyboardInterrupt:
        raise StepError(f"no longer watching; the run goes on: {url}, or `kfp run get {run_id}`") from None
    if run.state != "SUCCEEDED":
        reason = f"{failure(client, run, package.tasks)}; see {url}"
        raise (RunFailed if run.state == "FAILED" else StepError)(reason)
    minutes = run.minutes
    print("succeeded" if minutes is None else f"succeeded in {minutes // 60} h {minutes % 60} min")


def _tell(text: str) -> None:
    """A line with its time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _tell(text: str) -> None:
    """A line with its time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
