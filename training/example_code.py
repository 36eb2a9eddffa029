"""Code that leaves the project as one file: what it imports from `infra.decode` stands inside it."""

from pathlib import Path

from infra.text_lines import read_lines

DECODE = Path(__file__).parent.parent / "infra" / "decode.py"
IMPORT = "from infra.decode import "


def self_contained(source: Path) -> str:
    """A module's text with `infra.decode` in the place of the line that imports from it.

    Raises:
        ValueError: there is not exactly one such line.
    """
    lines = read_lines(source)
    found = [number for number, line in enumerate(lines) if line.startswith(IMPORT)]
    if len(found) != 1 or "(" in lines[found[0]]:
        raise ValueError(f"{source} must have one line that starts with {IMPORT!r}")
    lines[found[0] : found[0] + 1] = read_lines(DECODE)
    return "\n".join(lines) + "\n"
