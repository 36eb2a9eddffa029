"""Students by name: `nano`, `tiny`, `small` with an EfficientNet for images, `nano_vit` and so on with a ViT.

One word in a recipe chooses one: `distill_student.student=tiny`. Sizes are ours, the paper's are not public.
`python -m pipelines.students` prints what each costs (training/README.md has the table): parameters, floating
point operations, tokens a caption.
"""

from dataclasses import replace

from training.settings import StudentShape

# The first five stages of EfficientNet-Lite0, inherited, a last block as wide as the teacher, and a small
# BERT whose tokens start from the teacher's vectors (training/README.md has the trials).
NANO = StudentShape(
    image_size=72,
    vocab_size=30_000,
    max_tokens=32,
    vision={
        "depth_coefficient": 1.0,
        "hidden_act": "relu6",
        "kernel_sizes": [3, 3, 5, 3, 5, 3],
        "in_channels": [32, 16, 24, 40, 80, 112],
        "out_channels": [16, 24, 40, 80, 112, 512],
        "strides": [1, 2, 2, 2, 1, 1],
        "num_block_repeats": [1, 2, 2, 3, 3, 1],
        "expand_ratios": [1, 6, 6, 6, 6, 6],
        "squeeze_expansion_ratio": 0.01,
        "drop_connect_rate": 0.0,
    },
    text={
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "type_vocab_size": 1,
    },
    inherit_image="efficientnet-lite0",
    inherit_text=True,
)


def bert(width: int, layers: int) -> dict:
    """A text tower with heads of 64 numbers."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
    }


def vit(width: int, layers: int, patch_size: int) -> dict:
    """An image tower of the family chinese_clip."""
    return {**bert(width, layers), "patch_size": patch_size}


# EfficientNet-B0 as it is.
B0 = {"drop_connect_rate": 0.1}
# EfficientNet-B2: stages 1.1 times as wide and 1.2 times as deep, written out.
B2 = {
    "in_channels": [32, 16, 24, 48, 88, 120, 208],
    "out_channels": [16, 24, 48, 88, 120, 208, 352],
    "num_block_repeats": [2, 3, 3, 4, 4, 5, 2],
    "drop_connect_rate": 0.2,
}

TINY = StudentShape(160, 32_000, 48, vision=B0, text=bert(256, 4))
# The token table costs no time, and a large one makes captions short.
SMALL = StudentShape(224, 64_000, 64, vision=B2, text=bert(384, 6))

STUDENTS = {
    "nano": NANO,
    "tiny": TINY,
    "small": SMALL,
    "nano_vit": replace(NANO, family="chinese_clip", vision=vit(192, 4, 12), inherit_image=""),
    "tiny_vit": replace(TINY, family="chinese_clip", vision=vit(256, 8, 16)),
    "small_vit": replace(SMALL, family="chinese_clip", vision=vit(384, 12, 32)),
}
