"""`dcclip try`: the champion names an image."""

import argparse
from pathlib import Path

from pipelines.commands.options import root_options


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "try", parents=[root_options()], help="name an image with the registered champion"
    )
    command.add_argument("image", type=Path)
    command.add_argument("labels", nargs="+", help="class names, Chinese or English")
    command.set_defaults(do=try_image)


def try_image(options: argparse.Namespace) -> None:
    """Let the champion name an image."""
    from infra.object_store import endpoint_known
    from pipelines.resolve import local_folder
    from pipelines.try_model import classify_with_champion

    with endpoint_known(options.s3_endpoint):
        scores = classify_with_champion(local_folder(options.root), options.image, options.labels)
    for label, score in scores:
        print(f"{100 * score:5.1f}%  {label}")
