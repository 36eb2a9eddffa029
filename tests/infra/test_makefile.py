"""Which index the environment's torch comes from."""

import subprocess

import pytest

from infra.code_version import ROOT


def installs(*variables: str) -> list[str]:
    """The calls of pip that `make install` would make for a new environment."""
    command = ["make", "--dry-run", "--always-make", "install", "VENV=elsewhere", *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "pip install" in line]


@pytest.mark.parametrize("index", ["", "https://index.example/cpu"])
def test_an_index_named_for_torch_is_asked_for_torch_alone(index):
    torch, rest = installs(*([f"TORCH_INDEX={index}"] if index else []))
    assert torch.endswith(" torch") and rest.endswith("-e '.[demo,dev]'")
    assert [f"--extra-index-url {index}" in line for line in (torch, rest)] == [bool(index), False]
    assert ("extra-index-url" in torch) == bool(index)
