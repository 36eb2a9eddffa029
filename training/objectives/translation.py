"""Translation contrast: which English caption says what this Chinese one says?

The cross-lingual contrast XLCO of InfoXLM (arXiv 2007.07834), symmetric and among the captions of all
workers. Left out on purpose: its queue and its mixing of vectors, which make up for small batches.
"""

from torch import Tensor

from training import losses
from training.objectives.context import Context


def translation_contrastive(at: Context) -> Tensor:
    """InfoNCE between the student's Chinese and English captions of pairs that have both."""
    both = at.everywhere("has_zh") * at.everywhere("has_en")
    return losses.info_nce(at.everywhere("zh"), at.everywhere("en"), at.given["scale"], both)
