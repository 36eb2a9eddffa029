"""The exam's figures beside clip_benchmark's and vision-evaluation's, on the same student and the same data.

    pip install --no-deps --target FOLDER clip_benchmark==1.6.2 vision-evaluation==0.2.14
    python -m tests.benchmarks.compare_with_clip_benchmark FOLDER STUDENT_DIRECTORY

Both packages stay outside the project's environment. clip_benchmark reads the data sets with its own reader,
runs the student through transformers and marks it; vision-evaluation is what ELEVATER's toolkit marks with.
Data sets of drawn shapes are generated: single labels, several labels and captions. What the two packages
import for other ends (torchvision, pycocotools) is replaced by empty modules. Every figure is printed with
all its digits; clip_benchmark's recalls are float32. No two captions are equal: of ties it takes either one,
the exam none. The last lines are the number of figures compared and of those that differ.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from torch.utils.data import DataLoader

TOY = Path(__file__).resolve().parents[1] / "training"
sys.path[:0] = [str(TOY), str(TOY / "exams")]

from toy_exams import drawn_shape, npy, write_tars  # noqa: E402
from toy_training import png  # noqa: E402

from training.exams import metrics  # noqa: E402
from training.exams.classify import answer, examine_set  # noqa: E402
from training.exams.folders import open_set  # noqa: E402
from training.exams.pair_sets import examine_pairs  # noqa: E402
from training.exams.papers import own_paper  # noqa: E402
from training.student import load_student  # noqa: E402
from training.zero_shot import StudentEncoder  # noqa: E402

NAMES = ("circle", "square", "line", "cross", "ring", "box", "stroke", "star")
TEMPLATES = ("a drawing of a {c}", "a {c}", "{c} on paper")
STEP = "compare"
ABSENT = [
    f"torchvision{part}" for part in ("", ".datasets", ".datasets.utils", ".datasets.vision", ".transforms")
]
ABSENT += [f"pycocotools{part}" for part in ("", ".coco", ".cocoeval", ".mask")]


class Model:
    """A student as clip_benchmark wants models: plain transformers, no code of the exam."""

    def __init__(self, student):
        self.student = student

    def encode_image(self, pixels):
        return self.student.model.get_image_features(pixel_values=pixels).pooler_output

    def encode_text(self, tokens):
        return self.student.model.get_text_features(**tokens).pooler_output

    def tokens(self, texts):
        options = {
            "padding": True,
            "truncation": True,
            "return_tensors": "pt",
            "return_token_type_ids": False,
        }
        return self.student.tokenizer(list(texts), **options)

    def pixels(self, image):
        return self.student.image_processor(image.convert("RGB"), return_tensors="pt")["pixel_values"][0]


def install_packages(folder: str) -> None:
    """Make both packages importable."""
    sys.path.insert(0, folder)
    for name in ABSENT:
        sys.modules[name] = MagicMock(VisionDataset=object, CocoCaptions=object)
    from clip_benchmark.metrics import zeroshot_classification

    # It asks for the float of an array of one item, which numpy 2.4 no longer gives.
    zeroshot_classification.float = lambda value: (
        value.item() if isinstance(value, np.ndarray) else float(value)
    )


def write_sets(folder: Path, num: int) -> dict[str, Path]:
    """Single labels with classes of different sizes, several labels, and captions."""
    chance = np.random.default_rng(0)
    labels = chance.choice(8, num, p=np.arange(1, 9) / 36).tolist()
    pictures = [png(drawn_shape(seed, label % 4)) for seed, label in enumerate(labels)]
    texts = {
        "classnames": "\n".join(NAMES) + "\n",
        "zeroshot_classification_templates": "\n".join(TEMPLATES) + "\n",
    }
    several = np.maximum(np.eye(8, dtype=int)[labels], chance.random((num, 8)) < 0.2).astype(int)
    captions = [
        [
            f"{chance.choice(['a small', 'one', 'my'])} {NAMES[label]} {seed} {at}"
            for at in range(seed % 5 + 1)
        ]
        for seed, label in enumerate(labels)
    ]
    samples = {
        "shapes": [{"cls": str(label).encode()} for label in labels],
        "several": [{"npy": npy(row)} for row in several],
        "pairs": [{"txt": "\n".join(own).encode()} for own in captions],
    }
    kinds = {"shapes": "classification", "several": "multilabel", "pairs": "retrieval"}
    return {
        name: write_tars(
            folder / name,
            [{"png": content, **own} for content, own in zip(pictures, rows, strict=True)],
            per_tar=100,
            dataset_type=kinds[name],
            **texts,
        )
        for name, rows in samples.items()
    }


def their_loader(folder: Path, model: Model) -> DataLoader:
    """The set by clip_benchmark's reader, in batches."""
    from clip_benchmark.datasets.builder import build_wds_dataset, image_captions_collate_fn

    data = build_wds_dataset("wds", model.pixels, "test", str(folder))
    collate = image_captions_collate_fn if folder.name == "pairs" else None
    loader = DataLoader(data, batch_size=64, collate_fn=collate)
    loader.dataset.classes = data.classes
    return loader


def their_classification(folder: Path, model: Model) -> tuple[dict, np.ndarray, np.ndarray]:
    """(clip_benchmark's figures, its scores (rows, classes), its labels)."""
    from clip_benchmark.metrics import zeroshot_classification as theirs

    loader, options = their_loader(folder, model), {"device": "cpu", "amp": False}
    arguments = (model, loader, model.tokens, loader.dataset.classes, loader.dataset.templates)
    figures = theirs.evaluate(*arguments, **options)
    classifier = theirs.zero_shot_classifier(model, model.tokens, *arguments[3:], **options)
    logits, labels = theirs.run_classification(model, classifier, loader, **options)
    return figures, logits.numpy(), labels.numpy()


def toolkit_figures(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """By vision-evaluation on the softmax of the logits, as ELEVATER's toolkit does."""
    import vision_evaluation.evaluators as theirs
    from sklearn.metrics import roc_auc_score

    odds = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    if labels.ndim == 2:
        evaluators = {"11-point mAP": theirs.MeanAveragePrecisionNPointsEvaluator(11)}
    else:
        evaluators = {
            "top-1": theirs.TopKAccuracyEvaluator(1),
            "mean per class": theirs.BalancedAccuracyScoreEvaluator(),
        }
    found = {}
    for name, evaluator in evaluators.items():
        evaluator.add_predictions(odds, labels)
        (found[name],) = evaluator.get_report().values()
    if labels.ndim == 1:
        found["ROC AUC of the first class"] = roc_auc_score(labels == 0, odds[:, 0])
    return {name: float(value) for name, value in found.items()}


def our_answers(folder: Path, student) -> tuple[dict, np.ndarray, np.ndarray]:
    """(the exam's figures, its cosines, its labels)."""
    encoders, pictures = {"student": StudentEncoder(student)}, open_set(folder)
    paper = own_paper(folder.name, pictures, ("en",), None)
    answers = answer(pictures, paper, encoders, STEP)
    figures = examine_set(pictures, paper, encoders, STEP)["figures"]["student"]["en"]
    return figures, answers.scores["student"]["en"], answers.labels


def compare_single(folder: Path, student) -> list[tuple[str, float, float]]:
    """Rows of (figure, ours, theirs)."""
    figures, cosines, labels = our_answers(folder, student)
    theirs, logits, their_labels = their_classification(folder, Model(student))
    toolkit = toolkit_figures(logits, their_labels)
    mean = metrics.mean_per_class_accuracy(cosines, labels)
    area = metrics.roc_auc(metrics.probabilities(cosines)[:, 0], labels == 0)
    return [
        ("top-1, clip_benchmark", figures["top1"], theirs["acc1"]),
        ("top-5, clip_benchmark", figures["top5"], theirs["acc5"]),
        ("top-1, vision-evaluation", figures["top1"], toolkit["top-1"]),
        ("mean per class, clip_benchmark", mean, theirs["mean_per_class_recall"]),
        ("mean per class, vision-evaluation", mean, toolkit["mean per class"]),
        ("ROC AUC, scikit-learn", area, toolkit["ROC AUC of the first class"]),
    ]


def compare_several(folder: Path, student) -> list[tuple[str, float, float]]:
    """Rows of (figure, ours, theirs)."""
    figures, _, _ = our_answers(folder, student)
    _, logits, labels = their_classification(folder, Model(student))
    return [
        (
            "11-point mAP, vision-evaluation",
            figures["figure"],
            toolkit_figures(logits, labels)["11-point mAP"],
        )
    ]


def compare_pairs(folder: Path, student) -> list[tuple[str, float, float]]:
    """Rows of (figure, ours, theirs)."""
    from clip_benchmark.metrics import zeroshot_retrieval as theirs

    encoders = {"student": StudentEncoder(student)}
    ours = examine_pairs(folder, "pairs", ("en",), encoders, STEP)["figures"]["student"]["en"]
    model = Model(student)
    options = {"device": "cpu", "amp": False, "recall_k_list": [1, 5, 10]}
    with torch.inference_mode():
        found = theirs.evaluate(model, their_loader(folder, model), model.tokens, **options)
    ways = {"image_retrieval": "text_to_image", "text_retrieval": "image_to_text"}
    return [
        (f"{name} R@{k}, clip_benchmark", ours[direction][f"r{k}"], found[f"{name}_recall@{k}"])
        for name, direction in ways.items()
        for k in (1, 5, 10)
    ]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", help="the folder that both packages were installed into")
    parser.add_argument("student", type=Path, help="a student's directory")
    parser.add_argument("--images", type=int, default=500)
    options = parser.parse_args()
    install_packages(options.packages)
    student = load_student(options.student)
    with tempfile.TemporaryDirectory() as folder:
        sets = write_sets(Path(folder), options.images)
        rows = [
            *compare_single(sets["shapes"], student),
            *compare_several(sets["several"], student),
            *compare_pairs(sets["pairs"], student),
        ]
    for name, ours, theirs in rows:
        print(f"{name:40} {ours!r:24} {theirs!r:24} {'' if ours == theirs else f'{abs(ours - theirs):.1e}'}")
    print(json.dumps({"images": options.images, "student": options.student.name}))
    print(f"figure exam_figures_compared {len(rows)}")
    print(f"figure exam_figures_that_differ {sum(abs(ours - theirs) > 1e-7 for _, ours, theirs in rows)}")


if __name__ == "__main__":
    main()
