"""`dcclip serve` and `dcclip web`: a model tried in a browser, here or on any device."""

import argparse
from pathlib import Path

from pipelines.commands.options import root_options

MODEL = (
    "models:/NAME@ALIAS or models:/NAME/NUMBER in the registry, a folder of export_student's, or a student's "
    "Hugging Face directory"
)
MAX_PICTURES = 50_000


def add(commands: argparse._SubParsersAction) -> None:
    """Declare both commands."""
    _add_serve(commands)
    _add_web(commands)


def _add_serve(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser(
        "serve",
        parents=[root_options()],
        help="a page to search one's own pictures and to label some",
        description="Open a page on this machine: type Chinese or English to search a folder of pictures, "
        "drop a picture to see which labels fit. Ctrl-C ends it.",
    )
    command.add_argument("address", metavar="MODEL", help=MODEL)
    command.add_argument("--images", type=Path, metavar="FOLDER", help="pictures to search (default: none)")
    command.add_argument(
        "--max-images",
        type=int,
        default=MAX_PICTURES,
        metavar="N",
        help=f"look at no more (default: {MAX_PICTURES})",
    )
    command.add_argument("--int8", action="store_true", help="the int8 files of an ONNX folder")
    command.add_argument(
        "--mlflow-uri", default="", metavar="URI", help="the registry (default: ROOT/mlflow.db)"
    )
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: 127.0.0.1, this machine alone; 0.0.0.0 lets everybody in "
        "the network see the pictures)",
    )
    command.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    command.set_defaults(do=serve)


def _add_web(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser(
        "web",
        help="a folder that puts a model into any web page",
        description="Write a folder for a web server: a page that labels pictures in the browser itself, "
        "the model, ONNX Runtime, and a function for pages of one's own (training/web/README.md). "
        "Needs npm once.",
    )
    command.add_argument("export", type=Path, help="a folder of export_student's, with int8 files")
    command.add_argument("folder", type=Path, help="where to write")
    command.add_argument("--fp32", action="store_true", help="put the float32 files beside the int8 ones")
    command.set_defaults(do=build_web)


def serve(options: argparse.Namespace) -> None:
    """Serve the page until it is interrupted."""
    from pipelines.serve import serve_page

    serve_page(options)


def build_web(options: argparse.Namespace) -> None:
    """Write the folder of the browser page."""
    from components.step import StepError
    from training.web.build import BuildError, build_page

    try:
        build_page(options.export, options.folder, options.fp32)
    except BuildError as error:
        raise StepError(str(error)) from None
    print(f"wrote {options.folder}; try it: python -m http.server --directory {options.folder}")
