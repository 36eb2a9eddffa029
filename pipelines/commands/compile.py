"""`dcclip compile`: the pipeline for a cluster."""

import argparse
import os
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    command = commands.add_parser("compile", help="compile dcclip-full for a cluster")
    command.add_argument("--output", type=Path, default=Path("dist/dcclip-full.yaml"))
    command.add_argument(
        "--gpu",
        default="",
        metavar="TYPE",
        help="embed, train and examine in the steps' own pods, on nodes with the label dcclip/gpu=TYPE, "
        "such as a100 (default: no GPU in a step; a Ray cluster has them)",
    )
    command.set_defaults(do=compile_pipeline)


def compile_pipeline(options: argparse.Namespace) -> None:
    """Compile dcclip-full for a cluster."""
    # pipelines/resources.py reads it when the pipeline is imported, and with that made.
    os.environ["DCCLIP_GPU"] = options.gpu

    from kfp import compiler

    from pipelines.full import dcclip_full

    options.output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(dcclip_full, str(options.output))
    print(f"wrote {options.output}")
