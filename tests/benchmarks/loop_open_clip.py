"""open_clip's half of bench_training_open_clip: `open_clip_train`'s epoch over its own webdataset pipeline.

    python -m tests.benchmarks.loop_open_clip FOLDER BATCH STEPS WARMUP CLOCK PACKAGES

FOLDER has `raw/` and `student/`, PACKAGES open_clip. CLOCK is `wall` or `cpu`. The last line is pairs a
second. The network is the student's, run by the functions that the project's loop runs it by; loss,
optimizer, schedule, transforms and loader are open_clip's, with gradients clipped as the project clips
them.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.benchmarks.clocks import CLOCKS
from training.families import START_LOGIT_SCALE
from training.student import Student, image_vectors, load_student, text_vectors


def main() -> None:
    folder, batch, steps, warmup = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    # Only now: transformers shall not see a torchvision.
    sys.path.insert(0, sys.argv[6])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student = load_student(folder / "student")
    student.model.train().to(memory_format=torch.channels_last)
    clock = Clock(CLOCKS[sys.argv[5]])
    train(student, folder / "raw", batch, steps, clock)
    first, last = clock.times[warmup], clock.times[-1]
    print(batch * (steps - 1 - warmup) / (last - first))


class Model(nn.Module):
    """The student as open_clip calls a model."""

    def __init__(self, student: Student):
        super().__init__()
        self.model, self.padding = student.model, student.tokenizer.pad_token_id
        self.logit_scale = nn.Parameter(torch.tensor(START_LOGIT_SCALE))

    def forward(self, image: Tensor, text: Tensor) -> dict[str, Tensor]:
        return {
            "image_features": image_vectors(self.model, image),
            "text_features": text_vectors(self.model, text, (text != self.padding).long()),
            "logit_scale": self.logit_scale.exp(),
        }


class Clock:
    """Notes when each step begins, its batch at hand."""

    def __init__(self, clock: Callable[[], float]):
        self.clock, self.times = clock, []

    def around(self, schedule: Callable[[int], float]) -> Callable[[int], None]:
        """The schedule, which is asked at the beginning of each step."""

        def asked(step: int) -> None:
            self.times.append(self.clock())
            schedule(step)

        return asked


def train(student: Student, raw: Path, batch: int, steps: int, clock: Clock) -> None:
    """One epoch."""
    define_missing_operators()
    from open_clip import ClipLoss
    from open_clip_train.data import get_data
    from open_clip_train.scheduler import cosine_lr
    from open_clip_train.train import train_one_epoch

    model, settings = Model(student), settings_of(raw, batch, steps)
    optimizer = adamw(model, settings)
    schedule = clock.around(cosine_lr(optimizer, settings.lr, 1, steps))
    data = get_data(settings, (transform(student), None), tokenizer=tokenize(student))
    train_one_epoch(model, data, ClipLoss(), 0, optimizer, None, schedule, None, settings)


def define_missing_operators() -> None:
    """The published torchvision looks for compiled operators that do not fit a torch for the CPU."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # Definitions go when the library does.
    torch.torchvision_operators = library


def transform(student: Student) -> Callable:
    """open_clip's own for training, at the student's size and range."""
    from open_clip import image_transform

    side = student.image_processor.size["height"]
    return image_transform(side, is_train=True, mean=(0.5,) * 3, std=(0.5,) * 3)


def tokenize(student: Student) -> Callable[[str], Tensor]:
    """Tokens padded to the student's full length, as open_clip's tokenizers give them."""

    def tokens(text: str) -> Tensor:
        return student.tokenizer(text, padding="max_length", truncation=True, return_tensors="pt")[
            "input_ids"
        ]

    return tokens


def adamw(model: nn.Module, settings: argparse.Namespace) -> torch.optim.Optimizer:
    """As open_clip's main makes it."""
    parameters = [item for item in model.parameters() if item.requires_grad]
    groups = [
        {"params": [item for item in parameters if item.ndim < 2], "weight_decay": 0.0},
        {"params": [item for item in parameters if item.ndim >= 2], "weight_decay": 0.01},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98), eps=1e-6)


def settings_of(raw: Path, batch: int, steps: int) -> argparse.Namespace:
    """What open_clip's command line would give."""
    last = len(list(raw.glob("*.tar"))) - 1
    return argparse.Namespace(
        train_data=f"{raw}/{{00000..{last:05d}}}.tar",
        train_num_samples=batch * steps,
        train_data_upsampling_factors=None,
        dataset_type="webdataset",
        dataset_resampled=False,
        val_data=None,
        imagenet_val=None,
        imagenet_v2=None,
        batch_size=batch,
        workers=1,
        seed=0,
        distributed=False,
        rank=0,
        local_rank=0,
        world_size=1,
        device="cpu",
        precision="fp32",
        lr=1e-4,
        distill=False,
        accum_freq=1,
        skip_scheduler=False,
        horovod=False,
        grad_clip_norm=1.0,
        log_every_n_steps=100,
        log_local=False,
        wandb=False,
    )


if __name__ == "__main__":
    main()
