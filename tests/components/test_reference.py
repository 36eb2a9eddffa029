"""What passes between steps: small files, flat metadata, finite figures."""

import inspect
import json
import math
from importlib import import_module
from pathlib import Path

import pytest
from kfp import dsl

from components.reference import (
    FIGURES,
    Reference,
    figures_of,
    read_reference,
    refer,
    write_metrics,
    write_reference,
)
from pipelines.resolve import STEPS
from tests.artifacts import new_artifact

# Facts as steps record them, with what a backend has no word for: no threshold, a loss that is none.
FACTS = {
    "download_pairs": {
        "rows": 9,
        "urls": 8,
        "joined_by_url": 1,
        "dropped": {"no_caption": 1},
        "lists": {"zh.csv": 5, "en.csv": 4},
        "known": None,
        "crawl": {"urls": 8, "downloaded": 6, "failures": {"http_error": 2}, "reasons": []},
    },
    "filter_pairs": {"input": 6, "kept": 4, "dropped": {"image_too_small": 2}, "captions": {"zh": 3}},
    "prepare_teacher": {"source": "lit:", "described": "a teacher"},
    "embed_pairs": {"pairs": 4, "texts": 10, "dropped": {}, "reused": {"images": 2}},
    "select_pairs": {
        "input": 4,
        "kept": 3,
        "dropped": {"low_teacher_score": 1},
        "captions": {"zh": 2, "en": 3},
        "thresholds": {"zh": None, "en": 0.1},
    },
    "distill_student": {"parameters": 10, "last_loss": {"image tower": 0.5, "text tower": math.nan}},
    "align_student": {"parameters": 10, "last_loss": {"alignment": math.inf}},
    "evaluate_student": {
        "exam": "colours",
        "num_classes": 3,
        "models": {"student": {"en": {"top1": 0.5, "top5": 1.0}, "zh": {"top1": 0.25, "top5": 1.0}}},
        "student": {"parameters": 10, "megabytes": 0.5},
        "exams": [{"name": "ELEVATER", "skipped": {"mnist": "no folder"}}],
    },
    "export_student": {
        "cosine_gap": {"images": 1e-7, "texts": math.nan},
        "int8": {"drop_points": 0.5, "top1": {"int8": {"en": 0.5}}, "megabytes": {"image.int8.onnx": 1.0}},
    },
    "register_student": {
        "version": 1,
        "alias": "champion",
        "comparison": None,
        "reason": "the first version",
    },
}
WANTED = {
    "download_pairs": {"rows": 9, "urls": 8, "downloaded": 6, "failed_http_error": 2},
    "filter_pairs": {"input": 6, "kept": 4, "dropped_image_too_small": 2},
    "embed_pairs": {"pairs": 4, "texts": 10, "reused_images": 2},
    "select_pairs": {
        "input": 4,
        "kept": 3,
        "captions_zh": 2,
        "captions_en": 3,
        "dropped_low_teacher_score": 1,
    },
    "distill_student": {"parameters": 10, "last_loss_image_tower": 0.5},
    "align_student": {"parameters": 10},
    "evaluate_student": {
        "student_top1_en": 0.5,
        "student_top5_en": 1.0,
        "student_top1_zh": 0.25,
        "student_top5_zh": 1.0,
        "num_classes": 3,
        "student_parameters": 10,
        "student_megabytes": 0.5,
    },
    "export_student": {"cosine_gap_images": 1e-7, "top1_en_int8": 0.5, "int8_drop_points": 0.5},
}


@pytest.mark.parametrize("step", STEPS)
def test_figures_are_the_numbers_that_people_look_at(step):
    assert figures_of(step, FACTS[step]) == WANTED.get(step, {})


@pytest.mark.parametrize("step", STEPS)
def test_a_steps_outputs_are_small_flat_and_finite(step, tmp_path):
    output, metrics = new_artifact(tmp_path), new_artifact(tmp_path, dsl.Metrics)
    addresses = output.uri, metrics.uri
    reference = refer(step, f"s3://b/store/{step}/0123", {"facts": FACTS[step]}, reused=True)
    write_reference(output, reference)
    write_metrics(metrics, reference.figures)
    assert (output.uri, metrics.uri) == addresses
    assert all(type(value) in (str, int) for value in output.metadata.values())
    assert all(type(value) in (int, float) for value in metrics.metadata.values())
    for artifact in (output, metrics):
        text = Path(artifact.path).read_text()
        assert len(text) < 2_000
        json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (
        read_reference(output)
        == reference
        == Reference(step, f"s3://b/store/{step}/0123", "0123", 1, WANTED.get(step, {}))
    )


def test_what_is_no_reference_is_told(tmp_path):
    artifact = new_artifact(tmp_path)
    for content in ('{"address": "s3://b"}', "[]"):
        (tmp_path / "artifacts").mkdir(exist_ok=True)
        Path(artifact.path).write_text(content)
        with pytest.raises(ValueError, match="no reference to a result: it should have address, figures"):
            read_reference(artifact)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_with_figures_declares_metrics(step):
    face = getattr(import_module(f"components.{step}"), step).python_func
    assert ("metrics" in inspect.signature(face).parameters) is (step in FIGURES)
