"""The report as HTML: `write_report(path, content)` is all there is.

The templates beside this module, one a section, lay everything out and escape every string, because captions
and labels come from strangers. Charts are hand-made SVG that takes its colours from the page's style: they
follow light and dark, and the file depends on nothing but its content.

Left out on purpose: scripts, links to the outside, the time of writing, learning rate and scale.
"""

from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.evidence import Example
from training.reporting import cost, curves
from training.reporting.content import ReportContent
from training.reporting.funnel import draw_funnel

PAGE, STYLE, PARTS = "page.html", "style.html", "parts.html"
# In the order of the page: what decides first, what explains it after.
SECTIONS = (
    "summary.html",
    "decision.html",
    "exam.html",
    "comparisons.html",
    "cost.html",
    "confusions.html",
    "trained_on.html",
    "funnel.html",
    "drops.html",
    "training.html",
    "examples.html",
    "attributions.html",
)
LANGUAGES = {"en": "English", "zh": "Chinese"}
# Pictures of a report in all, as text; beyond that the later ones are left out.
MAX_PICTURE_CHARS = 2_000_000
# No label or address needs more; what is longer is a stranger's joke.
MAX_CHARS = 300


def write_report(path: Path, content: ReportContent, sections: tuple[str, ...] = SECTIONS) -> None:
    """Write the report, or some of its sections, to `path`; its pictures are at most about 2 MB."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "percent": percent, "clip": clip, "points": points}
    parts = environment.get_template(PARTS).module
    content = within_budget(content)
    page = environment.get_template(PAGE).render(
        content=content,
        sections=sections,
        style=STYLE,
        bar=parts.bar,
        picture=parts.picture,
        languages=LANGUAGES,
        models={row["model"]: row for row in content.exam.get("rows", [])},
        funnel=draw_funnel(content.funnel),
        charts=curves.draw_charts(content.curves),
        curve_frame=curves.FRAME,
        cost_frame=cost.FRAME,
        num_right={lang: [count_right(content.examples, lang, k) for k in (1, 5)] for lang in LANGUAGES},
    )
    path.write_text(page, encoding="utf-8", errors="backslashreplace")


def within_budget(content: ReportContent, max_chars: int = MAX_PICTURE_CHARS) -> ReportContent:
    """The content without the pictures that are too much; confusions come before examples and drops."""
    left = max_chars

    def kept(picture: str | None) -> str | None:
        nonlocal left
        left -= len(picture or "")
        return picture if left >= 0 else None

    return replace(
        content,
        confusions={
            lang: [replace(row, picture=kept(row.picture)) for row in rows]
            for lang, rows in content.confusions.items()
        },
        examples=[replace(example, image=kept(example.image)) for example in content.examples],
        drops=[
            replace(sheet, samples=[replace(row, picture=kept(row.picture)) for row in sheet.samples])
            for sheet in content.drops
        ],
    )


def words(name: str) -> str:
    """A snake_case name as words."""
    return name.replace("_", " ")


def percent(share: float) -> str:
    """A share with one decimal; what would round to nothing says so."""
    return "<0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """A difference in points with its sign."""
    return f"{difference:+.1f}".replace("-", "−")


def clip(text: str) -> str:
    """A text of bounded length."""
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def count_right(examples: list[Example], lang: str, k: int) -> int:
    """How many examples have their true label among the k best."""
    return sum(example.truth[lang] in [label for label, _ in example.top5[lang][:k]] for example in examples)
