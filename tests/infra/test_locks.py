"""The locks and the table of licences agree with constraints.txt and with what is installed."""

import re
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

from infra.images.build import IMAGES
from infra.images.lock import (
    CONSTRAINTS,
    CUDA_ONLY,
    HEADER,
    LockError,
    lock_text,
    requirements,
    resolve_all,
    torch_version,
)
from infra.licences import ALLOWED, NVIDIA, TABLE, licence_of, normal, parts, table

LINE = re.compile(r"([\w.-]+)==([\w.+!-]+) --hash=sha256:[0-9a-f]{64}")
# In the locks and not among the constraints: what builds the two packages that come as source.
UNCONSTRAINED = {"setuptools"}


def locked(name: str) -> dict[str, str]:
    """Versions by package in an image's lock; each line must be whole."""
    lines = IMAGES[name].lock.read_text().removeprefix(HEADER).splitlines()
    return {normal(found.group(1)): found.group(2) for found in map(LINE.fullmatch, lines)}


@pytest.fixture(scope="module")
def constraints() -> dict[str, str]:
    """Versions by package."""
    lines = [line.partition("==") for line in CONSTRAINTS.read_text().splitlines() if line]
    return {normal(name): version for name, _, version in lines}


@pytest.fixture(scope="module")
def installed() -> dict[str, str]:
    """Versions of what the project and its demo need, at any depth, as they are installed here.

    With either build of torch: CUDA's brings packages that the CPU's does not.
    """
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in ["torch", *requirements()]]
    while waiting:
        wanted = waiting.pop()
        package = distribution(wanted.name)
        new = normal(wanted.name) not in found
        found[normal(wanted.name)] = package.version
        extras = [*wanted.extras, *([""] if new else [])]
        for need in map(Requirement, package.requires or []):
            if any(need.marker is None or need.marker.evaluate({"extra": extra}) for extra in extras):
                waiting += [need] if new or need.marker else []
    return found


@pytest.mark.parametrize("name", list(IMAGES))
def test_every_package_of_a_lock_has_a_hash_and_the_constraints_version(name, constraints):
    lines = [line for line in IMAGES[name].lock.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    ours = {key: version.partition("+")[0] for key, version in locked(name).items()}
    assert set(ours) - set(constraints) == UNCONSTRAINED
    assert {key: version for key, version in ours.items() if constraints.get(key, version) != version} == {}


def test_torch_is_the_one_without_cuda_where_no_accelerator_is():
    assert locked("cpu")["torch"].endswith("+cpu") and "+" not in locked("cuda")["torch"]
    assert not [name for name in locked("cpu") if CUDA_ONLY.match(name)]


@pytest.mark.parametrize("name", list(IMAGES))
def test_a_lock_holds_all_that_the_project_needs_at_any_depth(name, installed):
    foreign = {package for package in installed if name == "cpu" and CUDA_ONLY.match(package)}
    assert set(installed) - foreign - set(locked(name)) == set()
    assert len(installed) > 150


def test_only_torch_brings_what_the_cpu_image_leaves_out(installed):
    brings = {normal(Requirement(text).name) for text in distribution("torch").requires}
    while more := {need for name in brings & set(installed) for need in needs(name)} - brings:
        brings |= more
    assert {name for name in installed if CUDA_ONLY.match(name)} <= brings


def needs(name: str) -> set[str]:
    return {normal(Requirement(text).name) for text in distribution(name).requires or []}


def test_a_lock_is_written_from_pips_report():
    entry = {"metadata": {"name": "Typing_Extensions", "version": "4.16.0"}}
    entry["download_info"] = {"archive_info": {"hashes": {"sha256": "ab" * 32}}}
    assert lock_text([entry]) == f"{HEADER}typing-extensions==4.16.0 --hash=sha256:{'ab' * 32}\n"


def pips_entry(name: str, version: str) -> dict:
    metadata = {"name": name, "version": version}
    return {"metadata": metadata, "download_info": {"archive_info": {"hashes": {"sha256": "ab" * 32}}}}


def without_pytorchs_index(wanted: list[str]) -> list[dict]:
    """pip's report, or its failure, where torch's CPU build is on no index."""
    if "+cpu" in wanted[0]:
        raise LockError("no matching distribution")
    torch = wanted[0].removeprefix("torch===")
    names = {"torch": torch, "triton": "3", "nvidia-cublas": "13", "cuda_bindings": "13", "numpy": "2"}
    return [pips_entry(name, version) for name, version in names.items()]


def test_without_an_index_for_it_the_recorded_cpu_build_stays(capsys):
    reports = resolve_all(without_pytorchs_index)
    found = lock_text(reports["cpu"]).removeprefix(HEADER).splitlines()
    recorded = re.search(r"^torch==.*$", IMAGES["cpu"].lock.read_text(), re.MULTILINE).group()
    assert found == [f"numpy==2 --hash=sha256:{'ab' * 32}", recorded]
    assert list(reports) == list(IMAGES) and len(reports["cuda"]) == 5
    assert f"torch {torch_version()}+cpu is on no index that pip reaches" in capsys.readouterr().err


def test_another_torch_than_the_recorded_one_says_what_to_do(monkeypatch):
    monkeypatch.setattr("infra.images.lock.torch_version", lambda: "99.0")
    with pytest.raises(LockError, match=r"torch 99\.0\+cpu is on no index.*--wheels FOLDER"):
        resolve_all(without_pytorchs_index)


def test_what_pip_cannot_resolve_at_all_is_pips_own_message():
    def fails(wanted):
        raise LockError("no route")

    with pytest.raises(LockError, match="no route"):
        resolve_all(fails)


def test_installed_packages_do_not_contradict_each_other():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def rows() -> list[tuple[str, str, str, list[str]]]:
    """(package, version, licence, images), a row of the table each."""
    lines = [line.strip("| ").split(" | ") for line in TABLE.read_text().splitlines() if line[:2] == "| "]
    return [(name, version, licence, images.split(", ")) for name, version, licence, images in lines[1:]]


@pytest.mark.parametrize("name", list(IMAGES))
def test_the_table_names_what_a_lock_does(name):
    assert {package: version for package, version, _, images in rows() if name in images} == locked(name)


def test_every_installed_package_is_in_the_table_under_the_licence_it_states(installed):
    stated = {(name, version): licence for name, version, licence, _ in rows()}
    for name, version in installed.items():
        assert stated[name, version] == licence_of(distribution(name).metadata.json)


def test_no_licence_is_unknown_or_forbidden():
    assert [row for row in rows() if parts(row[2]) - ALLOWED - {NVIDIA}] == []
    assert [row for row in rows() if NVIDIA in row[2] and row[3] != ["cuda"]] == []


@pytest.mark.parametrize(
    "metadata, licence",
    [
        ({"license_expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"classifier": ["License :: OSI Approved :: MIT License"], "license": "see file"}, "MIT"),
        ({"license": "Apache 2.0"}, "Apache-2.0"),
        ({"license": "GPL-3.0-only"}, "unknown"),
        ({"classifier": ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]}, "unknown"),
        ({"license": "Do what you want"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_licence_is_read_from_metadata(metadata, licence):
    assert licence_of({"name": "some-package", **metadata}) == licence


def test_a_stated_licence_outside_the_list_is_seen():
    assert parts(licence_of({"name": "a", "license_expression": "MIT AND AGPL-3.0-only"})) - ALLOWED == {
        "AGPL-3.0-only"
    }


def test_a_package_of_both_images_is_one_row():
    package = {"name": "A_b", "version": "1", "license_expression": "MIT"}
    text = table({"cpu": [package], "cuda": [package, {**package, "name": "nvidia-x"}]})
    assert "| a-b | 1 | MIT | cpu, cuda |\n| nvidia-x | 1 | MIT | cuda |" in text
