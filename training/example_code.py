"""Code that leaves the project as one file: what it imports from `infra.decode` stands inside it."""

from pathlib import Path

DECODE = Path(__file__).parent.parent / "infra" / "decode.py"
IMPORT = "from infra.decode import "


def self_contained(source: Path) -> str:
    """A module's text with `infra.decode` in the place of the line that imports from it.

    Raises:
        ValueError: there is not exactly one such line.
    """
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    found = [number for number, line in enumerate(lines) if line.startswith(IMPORT)]
    if len(found) != 1 or "(" in lines[found[0]]:
        raise ValueError(f"{source} must have one line that starts with {IMPORT!r}")
    lines[found[0]] = DECODE.read_text(encoding="utf-8")
    return "".join(lines)
