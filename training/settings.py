"""Settings of teachers, students and training phases; values only, so that a recipe imports no framework."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LitTuning:
    """How the head of a locked-image-tuned teacher is trained (training/lit.py).

    `image_size` is the side in pixels that the frozen image network sees; `scale` is one over the
    temperature of the contrast.
    """

    image_size: int = 224
    hidden: int = 1024
    dropout: float = 0.3
    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    scale: float = 20.0
    seed: int = 0


@dataclass(frozen=True)
class StudentShape:
    """A student's size.

    `image_size` is the image's side in pixels; `vision` and `text` are settings of transformers'
    AlignVisionConfig and AlignTextConfig.
    """

    image_size: int
    vocab_size: int
    max_tokens: int = 32
    vision: dict = field(default_factory=dict)
    text: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """A part of training: which towers learn, from what, by which weighted terms, at what pace.

    `data` is `pairs` or `texts` (captions and text without images). `batch_size` counts the rows of all
    workers together. `terms` are names of training/objectives.py with their weights. `augment` is the
    strength of the random crop and shift of images, 0 for none.
    """

    name: str
    towers: tuple[str, ...]
    data: str
    terms: dict
    num_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    augment: float = 0.0
