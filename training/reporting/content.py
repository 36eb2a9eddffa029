"""What the report shows, as values; gather.py makes them, page.py and the templates lay them out."""

from dataclasses import dataclass, field

from training.confusions import Confusion
from training.evidence import DropSheet, Example
from training.reporting.comparisons import Comparison
from training.reporting.cost import CostPlot
from training.reporting.decision import Decision
from training.reporting.funnel import FunnelStage
from training.reporting.trained_on import TrainedOn


@dataclass(frozen=True)
class ReportContent:
    """All that the report shows; what is empty or None is left out, or said not to be there.

    Attributes:
        exam: `name`, `num_classes`, `num_images` and `rows`, each with a `model` and per language its `top1`
            and, where known, `top5`; an empty one was not sat. `notes` are sentences on the figures.
        comparisons: exams that others publish figures of, and other exams of theirs.
        curves: points of the loss curve by training step.
        confusions: by language.
    """

    title: str
    exam: dict = field(default_factory=dict)
    decision: Decision | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    cost: CostPlot | None = None
    confusions: dict[str, list[Confusion]] = field(default_factory=dict)
    trained_on: TrainedOn | None = None
    funnel: list[FunnelStage] = field(default_factory=list)
    drops: list[DropSheet] = field(default_factory=list)
    curves: dict[str, list[dict]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    attributions: list[str] = field(default_factory=list)
