"""`dcclip compile`: a pipeline for a cluster."""

import argparse
from pathlib import Path

from pipelines.commands.gpu_option import gpu_option, use_gpu


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("compile", parents=[gpu_option()], help="compile a pipeline for a cluster")
    command.add_argument(
        "pipeline", nargs="?", default="dcclip-full", help="which pipeline (default: dcclip-full)"
    )
    command.add_argument("--output", type=Path, metavar="FILE", help="default: dist/PIPELINE.yaml")
    command.set_defaults(do=compile_pipeline)


def compile_pipeline(options: argparse.Namespace) -> None:
    """Compile a pipeline for a cluster."""
    use_gpu(options)

    from pipelines.catalogue import compile_to

    file = options.output or Path("dist", f"{options.pipeline}.yaml")
    compile_to(options.pipeline, file)
    print(f"wrote {file}")
