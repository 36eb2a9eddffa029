"""Which project code a step runs: a hash over the source files that its module imports, at any depth.

KFP's cache sees a step's embedded function and not the package that it imports; with this hash among the
step's inputs, a changed line reruns the steps that can reach it and no others.
"""

import ast
import hashlib
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


@cache
def _imports(file: Path) -> frozenset[Path]:
    names = _names_imported(ast.parse(file.read_text()))
    return frozenset(found for name in names if (found := _file_of(name)))


def files_used(module: str) -> list[Path]:
    """The project files that `module` reaches through imports, itself first of all."""
    start = _file_of(module)
    if start is None:
        raise ValueError(f"{module} is not a module of {', '.join(PACKAGES)}")
    seen: set[Path] = set()
    waiting = {start}
    while waiting:
        file = waiting.pop()
        seen.add(file)
        waiting |= _imports(file) - seen
    return sorted(seen)


def code_version(module: str) -> str:
    """Twelve hex digits that change when a line that `module` can reach changes."""
    digest = hashlib.sha256()
    for file in files_used(module):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]
