"""`dcclip compile`: a pipeline for a cluster."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("compile", help="compile a pipeline for a cluster")
    command.add_argument(
        "pipeline", nargs="?", default="dcclip-full", help="which pipeline (default: dcclip-full)"
    )
    command.add_argument("--output", type=Path, metavar="FILE", help="default: dist/PIPELINE.yaml")
    command.set_defaults(do=compile_pipeline)


def compile_pipeline(options: argparse.Namespace) -> None:
    """Compile a pipeline for a cluster."""
    from pipelines.catalogue import compile_to

    file = options.output or Path("dist", f"{options.pipeline}.yaml")
    compile_to(options.pipeline, file)
    print(f"wrote {file}")
