"""AltCLIP's towers (arXiv 2211.06679): CLIP's ViT-L/14 at 224 px and XLM-R-large, 864M parameters.

Sizes are those of the configuration that comes with BAAI/AltCLIP on the Hugging Face hub; what is not named
here is the default of transformers' AltCLIPConfig.
"""

from transformers import AltCLIPConfig, AltCLIPModel, AltCLIPTextConfig, AltCLIPVisionConfig

from tests.benchmarks.towers.from_transformers import FEW_TOKENS, Tower, build_tower

VOCAB_SIZE, WIDTH = 250_002, 1_024
VISION = {
    "hidden_size": WIDTH,
    "intermediate_size": 4_096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 768,
}


def build(kind: str) -> Tower:
    """A tower with random weights; of the token table, 1 GB, the first rows."""
    text = AltCLIPTextConfig(vocab_size=FEW_TOKENS)
    config = AltCLIPConfig(text_config=text, vision_config=AltCLIPVisionConfig(**VISION), projection_dim=768)
    tower = build_tower(AltCLIPModel, config, kind)
    if kind == "image":
        return tower
    return Tower(kind, tower.module, left_out=(VOCAB_SIZE - FEW_TOKENS, WIDTH))
