"""CLIP ViT-B/32's towers (arXiv 2103.00020, English only): transformers' CLIPConfig defaults to its sizes."""

from transformers import CLIPConfig, CLIPModel

from tests.benchmarks.towers.from_transformers import build_tower
from tests.benchmarks.towers.tower import Tower


def build_vit_b32(kind: str) -> Tower:
    """A tower with random weights."""
    return build_tower(CLIPModel, CLIPConfig(), kind)
