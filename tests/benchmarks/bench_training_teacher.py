"""Stage 1 with stored vectors against the same student with the teacher in the loop.

    python -m tests.benchmarks.bench_training_teacher [--student small] [--batch 8] [--cpu-time]

The teacher has AltCLIP's shape (ViT-L/14 at 224 px and XLM-R-large) and random weights; its token table,
which costs no time, is as long as the student's. Both towers of the student learn from the same batches,
which are read, decoded and tokenized alike; with the teacher in the loop its vectors of the pictures and of
the captions in both languages take the place of the stored ones. It reads the student's tokens, which are
about as many as its own. `--cpu-time` counts the processor's time instead of the clock: the way to compare
on a busy machine.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AltCLIPConfig, AltCLIPModel, AltCLIPTextConfig, AltCLIPVisionConfig

from tests.benchmarks.clocks import CLOCKS
from tests.benchmarks.generated_pairs import generated_student, write_pairs
from tests.benchmarks.towers.from_transformers import fill
from tests.benchmarks.training_pace import open_batches, open_run, pairs_per_second
from training.objectives.context import LANGUAGES
from training.settings import Phase

WIDTH, TEACHER_SIDE = 768, 224
TERMS = {"image_feature": 1.0, "image_affinity": 1.0, "text_feature": 1.0, "cross_lingual_feature": 1.0}


def main(arguments: list[str] | None = None) -> None:
    """Generate, train both ways, print."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    num_steps = {"stored": options.stored_steps, "online": options.online_steps}
    with tempfile.TemporaryDirectory() as folder:
        paces = measure(Path(folder), num_steps, options)
    print(f"{options.student}, batches of {options.batch}, {options.threads} threads")
    print(f"{'':>8} {'pairs/s':>9} {'steps':>6}")
    for name, pace in paces.items():
        print(f"{name:>8} {pace:>9.2f} {num_steps[name]:>6}")
    print(f"figure stored_vs_online_teacher {paces['stored'] / paces['online']:.2f}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--stored-steps", type=int, default=20)
    parser.add_argument("--online-steps", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--teacher-layers", type=int, default=24)
    parser.add_argument("--cpu-time", action="store_true", help="processor time, not the clock's")
    return parser.parse_args(arguments)


def measure(folder: Path, num_steps: dict[str, int], options: argparse.Namespace) -> dict[str, float]:
    """Pairs a second by where the teacher's vectors come from."""
    clock = CLOCKS["cpu" if options.cpu_time else "wall"]
    phases = {name: phase_of(options.batch, options.warmup + steps) for name, steps in num_steps.items()}
    num_pairs = max(phase.num_steps for phase in phases.values()) * options.batch
    write_pairs(folder, num_pairs, side=256, width=WIDTH)
    student = generated_student(options.student, WIDTH)
    teacher = OnlineTeacher(altclip(len(student.tokenizer), options.teacher_layers))
    targets = {"stored": None, "online": teacher}
    paces = {}
    for name, phase in phases.items():
        batches = open_batches(phase, student, folder, WIDTH)
        run = open_run(phase, student)
        paces[name] = pairs_per_second(run, batches, options.warmup, clock, targets[name])
    return paces


def phase_of(batch_size: int, num_steps: int) -> Phase:
    """Stage 1 of both towers at once."""
    return Phase(
        name="stage 1",
        towers=("image", "text"),
        data="pairs",
        terms=TERMS,
        num_steps=num_steps,
        batch_size=batch_size,
        learning_rate=1e-4,
    )


def altclip(vocab_size: int, num_layers: int) -> AltCLIPModel:
    """A model of AltCLIP's shape; random weights are made once, not twice as by its own constructor."""
    vision = AltCLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=num_layers,
        num_attention_heads=16,
        patch_size=14,
        image_size=TEACHER_SIDE,
    )
    text = AltCLIPTextConfig(vocab_size=vocab_size, num_hidden_layers=num_layers)
    with torch.device("meta"):
        model = AltCLIPModel(AltCLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    return fill(model.to_empty(device="cpu")).eval()


class OnlineTeacher:
    """The teacher's vectors of a batch, in place of the stored ones."""

    def __init__(self, model: AltCLIPModel):
        self.model = model

    @torch.inference_mode()
    def _vectors(self, batch: dict) -> dict[str, Tensor]:
        sides = (TEACHER_SIDE, TEACHER_SIDE)
        pixels = nn.functional.interpolate(batch["pixels"], sides, mode="bilinear", antialias=True)
        found = {"image_vector": self.model.get_image_features(pixel_values=pixels)}
        for lang in LANGUAGES:
            tokens = batch[f"{lang}_tokens"]
            found[f"{lang}_vector"] = self.model.get_text_features(
                tokens["input_ids"], attention_mask=tokens["attention_mask"]
            )
        return {name: nn.functional.normalize(given.pooler_output, dim=1) for name, given in found.items()}

    def __call__(self, batch: dict) -> dict[str, Tensor]:
        # What inference mode made cannot be saved for a backward pass; a copy can.
        return {name: vector.clone() for name, vector in self._vectors(batch).items()}


if __name__ == "__main__":
    main()
