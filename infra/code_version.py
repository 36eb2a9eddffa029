"""Which project code a step runs: a hash over the files that its module uses, at any depth.

KFP sees a step's embedded function and not the package that it imports; with this hash in the identity of a
step's result, a changed line reruns the steps that can reach it and no others.
"""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipelines", "components", "spark_jobs", "training", "infra")


def _file_of(module: str) -> Path | None:
    """The source file of a project module, None for anything else."""
    if module.split(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((item for item in candidates if item.exists()), None)


def _names_imported(tree: ast.AST) -> set[str]:
    """Dotted names that a module may import, wherever in it the import stands."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files_named(tree: ast.AST, folder: Path) -> set[Path]:
    """Files beside a module that it names in a string: templates, settings, code that others run.

    What people read (`.md`) is none of it: a README may be named because a step writes one.
    """
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value}
    names = {text for text in texts if isinstance(text, str) and re.fullmatch(r"\w+\.\w+", text)}
    return {folder / name for name in names if (folder / name).is_file() and not name.endswith(".md")}


@cache
def _uses(file: Path) -> frozenset[Path]:
    """The project files that a file imports or names."""
    if file.suffix != ".py":
        return frozenset()
    tree = ast.parse(file.read_text())
    imported = {found for name in _names_imported(tree) if (found := _file_of(name))}
    return frozenset(imported | _files_named(tree, file.parent))


def files_used(module: str) -> list[Path]:
    """The project files that `module` reaches, through imports and files named beside them, sorted."""
    start = _file_of(module)
    if start is None:
        raise ValueError(f"{module} is not a module of {', '.join(PACKAGES)}")
    seen: set[Path] = set()
    waiting = {start}
    while waiting:
        file = waiting.pop()
        seen.add(file)
        waiting |= _uses(file) - seen
    return sorted(seen)


def code_version(module: str) -> str:
    """32 hex digits (128 bits) that change when a line that `module` can reach changes."""
    digest = hashlib.sha256()
    for file in files_used(module):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:32]
