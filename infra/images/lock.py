"""Writes each image's lock and the table of licences, from what pip would install now.

    python -m infra.images.lock [--wheels FOLDER]      (make locks; a minute, metadata alone is fetched)

A lock names each package with its version, which constraints.txt decides, and the hash of the one file that
pip takes on x86-64 Linux with Python 3.11; pip refuses any other. The two differ in torch: the CPU build,
`2.13.0+cpu`, is on no package index but PyTorch's own (name it in pip's configuration, or give a folder that
holds the wheel), the other brings CUDA.

Left out on purpose: other platforms, whose files have other hashes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from infra.code_version import ROOT
from infra.images.build import IMAGES
from infra.licences import TABLE, table
from infra.text_lines import read_lines

CONSTRAINTS = ROOT / "constraints.txt"
# `===` compares texts: a CPU build at hand is not what CUDA's image wants.
TORCH = {"cpu": "torch=={}+cpu", "cuda": "torch==={}"}
HEADER = "# Written by `make locks`; constraints.txt decides the versions. For x86-64 Linux, Python 3.11.\n"


def requirements() -> list[str]:
    """What an image installs besides torch: the project's dependencies and the demo's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = project["dependencies"] + project["optional-dependencies"]["demo"]
    return [name for name in names if name != "torch"]


def torch_version() -> str:
    """The version that constraints.txt has."""
    lines = read_lines(CONSTRAINTS)
    return next(line.removeprefix("torch==") for line in lines if line.startswith("torch=="))


def pip_report(python: Path, wanted: list[str], wheels: Path | None) -> list[dict]:
    """pip's own account of what it would install: an entry a package, with file, hash and metadata."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "-c", str(CONSTRAINTS), *wanted]
    command += ["--find-links", str(wheels)] if wheels else []
    done = subprocess.run([*command, "--no-input"], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["install"]


def lock_text(report: list[dict]) -> str:
    """The lock: a package a line, in the order of their names."""
    lines = []
    for entry in report:
        name = entry["metadata"]["name"].lower().replace("_", "-")
        sha256 = entry["download_info"]["archive_info"]["hashes"]["sha256"]
        lines.append(f"{name}=={entry['metadata']['version']} --hash=sha256:{sha256}")
    return HEADER + "\n".join(sorted(lines)) + "\n"


def main() -> None:
    """Write the locks and the table."""
    parser = argparse.ArgumentParser(prog="python -m infra.images.lock", description=__doc__.split("\n")[0])
    parser.add_argument("--wheels", type=Path, help="a folder with wheels that no index has")
    wheels = parser.parse_args().wheels
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        # Before pip 23.3 a dry run downloads every file.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        for name, image in IMAGES.items():
            print(f"resolving {name}", file=sys.stderr)
            torch = TORCH[name].format(torch_version())
            reports[name] = pip_report(python, [torch, *requirements()], wheels)
            image.lock.write_text(lock_text(reports[name]))
    metadata = {name: [entry["metadata"] for entry in report] for name, report in reports.items()}
    TABLE.write_text(table(metadata))


if __name__ == "__main__":
    main()
