"""Writes each image's lock and the table of licences, from what pip would install now.

    python -m infra.images.lock [--wheels FOLDER]      (make locks; a minute, metadata alone is fetched)

A lock names each package with its version, which constraints.txt decides, and the hash of the one file that
pip takes on x86-64 Linux with Python 3.11; pip refuses any other. The two differ in torch: the CPU build,
`2.13.0+cpu`, is on no package index but PyTorch's own (name it in pip's configuration, or give a folder that
holds the wheel), the other brings CUDA. Where the CPU build is not reached its lock keeps the line that it
has for torch, and all else is written anew.

Left out on purpose: other platforms, whose files have other hashes.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path

from infra.code_version import ROOT
from infra.images.build import IMAGES
from infra.licences import TABLE, normal, table
from infra.text_lines import read_lines

CONSTRAINTS = ROOT / "constraints.txt"
# `===` compares texts: a CPU build at hand is not what CUDA's image wants.
TORCH = {"cpu": "torch=={}+cpu", "cuda": "torch==={}"}
# What torch's CUDA build brings and its CPU build does not.
CUDA_ONLY = re.compile(r"nvidia-|cuda-|triton$")
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


class LockError(Exception):
    """A lock cannot be made; the message tells a person what to do."""


def pip_report(python: Path, wanted: list[str], wheels: Path | None) -> list[dict]:
    """pip's own account of what it would install: an entry a package, with file, hash and metadata.

    Raises:
        LockError: pip finds no way to install all of it; the message is pip's.
    """
    command = [str(python), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "-c", str(CONSTRAINTS), *wanted]
    command += ["--find-links", str(wheels)] if wheels else []
    done = subprocess.run([*command, "--no-input"], capture_output=True, text=True)
    if done.returncode:
        raise LockError(f"pip cannot resolve {wanted[0]} and the rest:\n{done.stderr.strip()}")
    return json.loads(done.stdout)["install"]


def with_recorded_torch(report: list[dict], lock: str, version: str) -> list[dict]:
    """The entries of the CPU image from those of CUDA's: torch as its lock has it, without what CUDA needs.

    Args:
        report: pip's, for CUDA's build.
        lock: the CPU image's as it stands.
        version: torch's, which constraints.txt has.

    Raises:
        LockError: the lock has another torch, so there is nothing to keep.
    """
    found = re.search(rf"^torch==({re.escape(version)}\+cpu) --hash=sha256:(\w+)$", lock, re.MULTILINE)
    if not found:
        raise LockError(
            f"torch {version}+cpu is on no index that pip reaches, and the lock has another: name PyTorch's "
            "index for the CPU in pip's configuration, or give --wheels FOLDER"
        )
    rest = [entry for entry in report if not CUDA_ONLY.match(normal(entry["metadata"]["name"]))]
    return [_recorded(entry, *found.groups()) if _is_torch(entry) else entry for entry in rest]


def _is_torch(entry: dict) -> bool:
    return entry["metadata"]["name"] == "torch"


def _recorded(entry: dict, version: str, sha256: str) -> dict:
    """The entry with another version and hash."""
    metadata = {**entry["metadata"], "version": version}
    return {**entry, "metadata": metadata, "download_info": {"archive_info": {"hashes": {"sha256": sha256}}}}


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
    try:
        write(parser.parse_args().wheels)
    except LockError as error:
        sys.exit(str(error))


def write(wheels: Path | None) -> None:
    """Write the locks and the table, all of them or none.

    Raises:
        LockError: pip cannot resolve what the project asks for.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        # Before pip 23.3 a dry run downloads every file.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        reports = resolve_all(lambda wanted: pip_report(python, wanted, wheels))
    for name, report in reports.items():
        IMAGES[name].lock.write_text(lock_text(report))
    metadata = {name: [entry["metadata"] for entry in report] for name, report in reports.items()}
    TABLE.write_text(table(metadata))


def resolve_all(report: Callable[[list[str]], list[dict]]) -> dict[str, list[dict]]:
    """pip's report by image; without an index for torch's CPU build, its recorded line stands.

    Raises:
        LockError: see `pip_report` and `with_recorded_torch`.
    """
    version, reports = torch_version(), {}
    for name in ("cuda", "cpu"):
        print(f"resolving {name}", file=sys.stderr)
        try:
            reports[name] = report([TORCH[name].format(version), *requirements()])
        except LockError:
            if name == "cuda":
                raise
            reports[name] = with_recorded_torch(reports["cuda"], IMAGES["cpu"].lock.read_text(), version)
            print(f"torch {version}+cpu is on no index that pip reaches: its line stays", file=sys.stderr)
    return {name: reports[name] for name in IMAGES}


if __name__ == "__main__":
    main()
