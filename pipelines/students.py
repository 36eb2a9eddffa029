"""Students by name: `nano`, `tiny`, `small` with an EfficientNet for images, `nano_vit` and so on with a ViT.

One word in a recipe chooses one: `distill_student.student=tiny`. Sizes are ours, the paper's are not public.
`dcclip students` prints what each costs, training/README.md has it: parameters, floating point operations,
tokens a caption.
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


def efficientnet_lite(channels: list[int], repeats: list[int], drop_connect: float) -> dict:
    """An image tower that EfficientNet-Lite's weights fit into, with squeeze-and-excite to be learned.

    Its last stage is one block, as wide as the teacher: a second one there would be most of the tower.
    """
    return {
        "hidden_act": "relu6",
        "in_channels": [32, *channels],
        "out_channels": [*channels, 512],
        "num_block_repeats": [*repeats, 1],
        "drop_connect_rate": drop_connect,
    }


LITE0 = efficientnet_lite([16, 24, 40, 80, 112, 192], [1, 2, 2, 3, 3, 4], drop_connect=0.0)
LITE2 = efficientnet_lite([16, 24, 48, 88, 120, 208], [1, 3, 3, 4, 4, 5], drop_connect=0.1)

TINY = StudentShape(
    image_size=160,
    vocab_size=32_000,
    max_tokens=48,
    vision=LITE0,
    text=bert(256, 4),
    inherit_image="efficientnet-lite0",
    inherit_text=True,
)
# Made for 3 times the images/s and 2 times the texts/s of Chinese-CLIP RN50 on a CPU. The token table costs
# no time, and a large one makes captions short.
SMALL = StudentShape(
    image_size=224,
    vocab_size=64_000,
    max_tokens=64,
    vision=LITE2,
    text=bert(384, 5),
    inherit_image="efficientnet-lite2",
)


def with_vit(shape: StudentShape, tower: dict) -> StudentShape:
    """The same student with a ViT for images, from random weights."""
    return replace(shape, family="chinese_clip", vision=tower, inherit_image="")


STUDENTS = {
    "nano": NANO,
    "tiny": TINY,
    "small": SMALL,
    "nano_vit": with_vit(NANO, vit(192, 4, patch_size=12)),
    "tiny_vit": with_vit(TINY, vit(256, 8, patch_size=16)),
    "small_vit": with_vit(SMALL, vit(384, 12, patch_size=32)),
}
