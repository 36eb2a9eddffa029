"""`dcclip serve`: opens the model, looks at the pictures, serves the page."""

import argparse
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.step import StepError
from infra.object_store import endpoint_known
from pipelines.promote import registry_address

if TYPE_CHECKING:
    from training.serve.answers import Answers


def serve_page(options: argparse.Namespace) -> None:
    """Serve until interrupted.

    Raises:
        StepError: no model there, no such folder, or the port is taken.
    """
    from training.serve.app import make_app
    from training.serve.server import address_of, hosts_of, listen, make_server

    try:
        listening = listen(options.host, options.port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StepError(
            f"cannot listen on {options.host} port {options.port}: {reason}; choose another: --port"
        ) from None
    with listening, contextlib.suppress(KeyboardInterrupt):
        app = make_app(open_answers(options), hosts_of(options.host, listening))
        print(f"open {address_of(listening)} in a browser; Ctrl-C ends it", flush=True)
        make_server(app).run(sockets=[listening])


def open_answers(options: argparse.Namespace) -> "Answers":
    """The model, and the vectors of the pictures."""
    if options.images is not None and not options.images.is_dir():
        raise StepError(f"{options.images} is no folder of pictures")
    with endpoint_known(options.s3_endpoint), _quiet(), _told(options) as uri:
        from training.serve.answers import Answers
        from training.serve.index import build_index
        from training.serve.models import open_model
        from training.serve.pictures import list_pictures

        model = open_model(options.address, uri, options.int8)
        index = None
        if options.images is not None:
            index = build_index(
                list_pictures(options.images, options.max_images), model, not sys.stderr.isatty()
            )
            skipped = "".join(f", {count} {why}" for why, count in index.skipped.items())
            print(f"{len(index.pictures)} pictures below {options.images}{skipped}", flush=True)
        return Answers(model, index)


@contextlib.contextmanager
def _told(options: argparse.Namespace) -> Iterator[str]:
    """The registry's address; what goes wrong there or with the model is told in a line."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    from training.champion import NoSuchVersion
    from training.registry_client import trouble
    from training.serve.models import NoModel

    registered = options.address.startswith("models:/")
    uri = registry_address(options.root, options.mlflow_uri) if registered else ""
    try:
        yield uri
    except (NoModel, NoSuchVersion) as error:
        raise StepError(str(error)) from None
    except (MlflowException, RequestException) as error:
        raise StepError(trouble(uri, error)) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries say while they load; the page's address is what is worth reading."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.disable(before)
