"""Chinese-CLIP's towers (arXiv 2211.01335): ViT-B/16 with RoBERTa-wwm-base, and ResNet-50 with RBT3.

Sizes are those of cn_clip/clip/model_configs in OFA-Sys/Chinese-CLIP: ViT-B-16.json with
RoBERTa-wwm-ext-base-chinese.json, RN50.json with RBT3-chinese.json.
"""

from transformers import ChineseCLIPConfig, ChineseCLIPModel, ChineseCLIPTextConfig, ChineseCLIPVisionConfig

from tests.benchmarks import chinese_clip_rn50
from tests.benchmarks.towers.from_transformers import build_tower
from tests.benchmarks.towers.tower import Tower, settle


def build_vit_b16(kind: str) -> Tower:
    """A tower of ViT-B/16's pair with random weights."""
    vision = ChineseCLIPVisionConfig(patch_size=16)
    text = ChineseCLIPTextConfig(vocab_size=21_128)
    config = ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=512)
    return build_tower(ChineseCLIPModel, config, kind)


def build_rn50(kind: str) -> Tower:
    """A tower of ResNet-50's pair with random weights."""
    if kind == "text":
        return Tower(kind, chinese_clip_rn50.TextTower().eval())
    module, side = chinese_clip_rn50.ImageTower(), chinese_clip_rn50.IMAGE_SIZE
    settle(module, side)
    return Tower(kind, module, side=side)
