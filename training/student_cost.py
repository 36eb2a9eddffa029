"""What a student costs before it is trained: parameters, bytes, floating point operations, tokens a caption.

FLOPs are what `torch.utils.flop_counter` counts, two for a multiplication with its addition, in
convolutions, matrix products and attention.
"""

from collections.abc import Iterable

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.settings import StudentShape
from training.student import build_student, image_vectors, learning_parameters, text_vectors
from training.tokenizer import sample_texts, tokens_per_text, train_tokenizer

TEXT_TOKENS = 32


class _Vocabulary:
    """As much of a tokenizer as a student's shape depends on."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size


def student_cost(shape: StudentShape, width: int) -> dict[str, float]:
    """Costs of a student with a full vocabulary that follows a teacher of this width.

    Returns:
        `image`, `text` (token table included), `table` and `all`: parameters; `megabytes` in float32;
        `image_flops` of one image, `text_flops` of one text of at most 32 tokens, both ends included.
    """
    student = build_student(shape, _Vocabulary(shape.vocab_size), width)
    model = student.model.eval()
    # The counter does not know the fused attention of a CPU.
    model.set_attn_implementation("eager")
    pixels = torch.zeros(1, 3, shape.image_size, shape.image_size)
    tokens = torch.zeros(1, min(TEXT_TOKENS, shape.max_tokens), dtype=torch.long)
    with FlopCounterMode(display=False) as image_flops, torch.no_grad():
        image_vectors(model, pixels)
    with FlopCounterMode(display=False) as text_flops, torch.no_grad():
        text_vectors(model, tokens, torch.ones_like(tokens))
    sizes = {
        tower: sum(item.numel() for item in learning_parameters(model, (tower,)).values())
        for tower in ("image", "text")
    }
    return {
        **sizes,
        "table": shape.vocab_size * model.config.text_config.hidden_size,
        "all": student.num_parameters,
        "megabytes": student.num_parameters * 4 / 2**20,
        "image_flops": image_flops.get_total_flops(),
        "text_flops": text_flops.get_total_flops(),
    }


def caption_lengths(texts: Iterable[str], captions: list[str], shape: StudentShape) -> dict[str, float]:
    """Mean tokens of captions in each language, by a tokenizer of the shape's size trained on the texts."""
    tokenizer = train_tokenizer(texts, shape.vocab_size, shape.max_tokens)
    return tokens_per_text(tokenizer, sample_texts(captions, 10_000)[0])


def cost_table(shapes: dict[str, StudentShape], width: int, texts: list[str], captions: list[str]) -> str:
    """The costs of named students as a Markdown table."""
    header = (
        "student", "family", "px", "image M", "text M", "of it tokens M", "all M", "MB",
        "image GFLOP", "text MFLOP", "tokens zh", "tokens en",
    )  # fmt: skip
    rows = [header, tuple("---" for _ in header)]
    lengths: dict[tuple[int, int], dict[str, float]] = {}
    for name, shape in shapes.items():
        cost, kind = student_cost(shape, width), (shape.vocab_size, shape.max_tokens)
        if kind not in lengths:
            lengths[kind] = caption_lengths(texts, captions, shape)
        millions = [f"{cost[key] / 1e6:.1f}" for key in ("image", "text", "table", "all")]
        flops = [f"{cost['image_flops'] / 1e9:.2f}", f"{cost['text_flops'] / 1e6:.0f}"]
        tokens = [f"{lengths[kind].get(lang, float('nan')):.1f}" for lang in ("zh", "en")]
        size = f"{cost['megabytes']:.0f}"
        rows.append((name, shape.family, str(shape.image_size), *millions, size, *flops, *tokens))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
