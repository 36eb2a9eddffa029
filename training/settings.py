"""Settings of teachers, students and training phases; values only, so that a recipe imports no framework."""

from dataclasses import dataclass, field

# What a teacher from a hub computes in on a GPU.
PRECISIONS = ("float32", "bfloat16")
# What a student is trained in.
TRAINING_PRECISIONS = ("float32", "bf16", "auto")


@dataclass(frozen=True)
class LitTuning:
    """How the head of a locked-image-tuned teacher is trained (training/lit.py).

    `image_size` is the side in pixels that the frozen image networks see; `scale` is one over the
    temperature that the contrast starts from; `softness` is the share of the target that follows the
    similarity of texts instead of the pairing. Features of up to `max_remembered` images stay beside the
    head, for embed_pairs to use again.
    """

    networks: tuple[str, ...] = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
    image_size: int = 224
    hidden: int = 1024
    dropout: float = 0.3
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    scale: float = 20.0
    softness: float = 0.5
    max_remembered: int = 50_000
    seed: int = 0


@dataclass(frozen=True)
class TeacherMember:
    """One teacher of an ensemble: as PrepareTeacher, and its share of the ensemble's cosine."""

    source: str
    revision: str = ""
    weight: float = 1.0

    def __post_init__(self):
        if self.weight <= 0:
            raise ValueError(f"the weight of {self.source} is {self.weight}; it should be above 0")


@dataclass(frozen=True)
class StudentShape:
    """A student's class and size.

    `family` is a name of training/families.py: `align` (EfficientNet) or `chinese_clip` (ViT). `image_size`
    is the image's side in pixels; `vision` and `text` are settings of the family's vision and text
    configuration in transformers. `inherit_image` names a pretrained network whose first layers
    an EfficientNet starts from, `inherit_text` lets token embeddings start from the teacher's vectors.
    """

    image_size: int
    vocab_size: int
    max_tokens: int = 32
    family: str = "align"
    vision: dict = field(default_factory=dict)
    text: dict = field(default_factory=dict)
    inherit_image: str = ""
    inherit_text: bool = False

    def __post_init__(self):
        if self.inherit_image and self.family != "align":
            raise ValueError(f"only the family align inherits {self.inherit_image}, not {self.family}")


@dataclass(frozen=True)
class Phase:
    """A part of training: which towers learn, from what, by which weighted terms, at what pace.

    A tower in `locked` runs and does not learn (LiT, arXiv 2111.07991), nor do its batch statistics move.
    `frozen_blocks` first blocks of the image tower, with what stands before them, keep the weights that they
    start with; they are the ones that see most pixels, so a step takes less time.
    `data` is `pairs`, `texts` (captions and text without images) or `both`. `batch_size` counts the rows of
    all workers together, `text_batch_size` those of texts beside pairs. `terms` are names of
    training/objectives.py with their weights. `augment` is the strength of the random shift and scale of
    images, 0 for none. `caption_share` of the rows of texts are captions. `group_window` is the number of
    batches that are composed together so that each holds similar pairs, 0 for batches at random; `code_mix`
    the share of captions in which the languages are mixed; `online_teacher` the folder of a teacher for the
    term feature_map.

    `precision` is `float32`, `bf16` (autocast; weights, losses and gradients stay in float32), or `auto`:
    bf16 where the device has instructions for it.
    `micro_batches` cuts a worker's rows to save memory, the contrast still sees all of them.
    `patch_dropout` is the share of patches that a ViT leaves out. `compile` is torch.compile.
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
    text_batch_size: int = 64
    caption_share: float = 0.2
    num_anchors: int = 1024
    precision: str = "float32"
    micro_batches: int = 1
    patch_dropout: float = 0.0
    compile: bool = False
    group_window: int = 0
    code_mix: float = 0.0
    online_teacher: str = ""
    locked: tuple[str, ...] = ()
    frozen_blocks: int = 0

    def __post_init__(self):
        if not self.towers or set(self.towers) - {"image", "text"}:
            raise ValueError(f"phase {self.name!r}: towers are image and text, not {self.towers}")
        if self.data not in ("pairs", "texts", "both"):
            raise ValueError(f"phase {self.name!r}: data is pairs, texts or both, not {self.data!r}")
        if self.precision not in TRAINING_PRECISIONS:
            choices = ", ".join(TRAINING_PRECISIONS)
            raise ValueError(f"phase {self.name!r}: precision is one of {choices}, not {self.precision!r}")
        if self.micro_batches < 1 or not 0 <= self.patch_dropout < 1:
            raise ValueError(f"phase {self.name!r}: micro_batches from 1, patch_dropout in [0, 1)")
