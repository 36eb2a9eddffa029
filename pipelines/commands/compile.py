"""`dcclip compile`: a pipeline for a cluster."""

import argparse
import os
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("compile", help="compile a pipeline for a cluster")
    command.add_argument(
        "pipeline", nargs="?", default="dcclip-full", help="which pipeline (default: dcclip-full)"
    )
    command.add_argument("--output", type=Path, metavar="FILE", help="default: dist/PIPELINE.yaml")
    command.add_argument(
        "--gpu",
        default=os.environ.get("DCCLIP_GPU", ""),
        metavar="TYPE",
        help="embed, train and examine in the steps' own pods, on nodes with the label dcclip/gpu=TYPE, "
        "such as a100 (default: what DCCLIP_GPU names, else no GPU in a step; a Ray cluster has them)",
    )
    command.set_defaults(do=compile_pipeline)


def compile_pipeline(options: argparse.Namespace) -> None:
    """Compile a pipeline for a cluster."""
    # pipelines/resources.py reads it when the pipeline is imported, and with that made.
    os.environ["DCCLIP_GPU"] = options.gpu

    from pipelines.catalogue import compile_to

    file = options.output or Path("dist", f"{options.pipeline}.yaml")
    compile_to(options.pipeline, file)
    print(f"wrote {file}")
