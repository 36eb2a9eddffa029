"""The model card, `README.md` of a student's directory: what it is, how to use it, data, figures, limits.

Its head is the metadata that a Hugging Face hub reads. Like the data card it repeats what recipes and lists
say of licences, and says so where they say nothing.
"""

from pathlib import Path

from training.data_card import UNKNOWN_LICENCE, plain_text, table

HEAD = """---
language:
- zh
- en
library_name: transformers
pipeline_tag: zero-shot-image-classification
tags:
- clip
- bilingual
- dcclip
license: other
license_name: see-data
---

# A small bilingual CLIP

An image tower and a text tower of {parameters:.1f} million parameters in all, for Chinese and English,
distilled from a large teacher and aligned on image-text pairs by dcclip (DC-CLIP, arXiv 2404.11249).

## Use

```python
from transformers import pipeline

classify = pipeline("zero-shot-image-classification", model="THIS_DIRECTORY")
classify("photo.png", candidate_labels=["柠檬", "lemon"], hypothesis_template="{{}}")
```

Without transformers and torch: the ONNX files of the export beside this directory, `python try_onnx.py`.
"""
LIMITS = """## Limits

- It knows what its training pairs and texts show. On other kinds of pictures, measure before you rely on it.
- Probabilities are over the labels given: it has no "none of these".
- Chinese is learned in the characters of the captions{simplified}. A text in traditional characters is
  another text to it: convert it first, for example with OpenCC (t2s), as `dcclip try` and `dcclip serve` do.
  Full-width letters and other compatible forms need nothing: the tokenizer normalises them (NFKC).
- Texts are cut after {max_tokens} tokens, pictures are squeezed into a square.
- Not tried: faces, text in pictures, counting, medical or legal use, fairness between groups of people. The
  pairs come from the web and carry its biases.
- The licence of these weights follows from those of the data and of the teacher; dcclip does not judge it."""


def write_model_card(
    folder: Path,
    exam: dict,
    data: dict,
    int8: dict | None,
    attributions: tuple[str, ...],
    max_tokens: int,
) -> None:
    """Write `README.md`.

    Args:
        exam: evaluate_student's `results.json`; `data`: select_pairs' `data_card.json`.
        int8: what `training.onnx_pair.compare_pair` found of it, None without.
    """
    parts = [
        HEAD.format(parameters=exam["student"]["parameters"] / 1e6),
        *_data(data, attributions),
        *_figures(exam, int8),
        LIMITS.format(max_tokens=max_tokens, simplified=_simplified(data)),
    ]
    text = "\n\n".join(part.strip() for part in parts) + "\n"
    (folder / "README.md").write_text(text, errors="backslashreplace")


def _simplified(data: dict) -> str:
    """What was done to them before training."""
    done = data.get("thresholds", {}).get("filter_pairs", {}).get("simplify")
    return ", which were simplified before training" if done else ""


def _data(data: dict, attributions: tuple[str, ...]) -> list[str]:
    """Sources, what was kept of them, and who made them."""
    rows = [[source["list"], source["licence"], source["rows"]] for source in data["sources"]]
    selected = data["steps"][-1]
    captions = selected["captions"]
    parts = [
        "## Data",
        table(["list", "licence", "rows"], rows),
        f"Trained on {selected['kept']:,} pairs with {captions.get('zh', 0):,} Chinese and "
        f"{captions.get('en', 0):,} English captions.",
    ]
    if any(source["licence"] == UNKNOWN_LICENCE for source in data["sources"]):
        parts.append("Where no licence is stated, the recipe states none: ask who made the list.")
    return parts + (["\n".join(f"- {plain_text(line)}" for line in attributions)] if attributions else [])


def _figures(exam: dict, int8: dict | None) -> list[str]:
    """Zero-shot accuracy of teacher, student and chance, and what int8 changes."""
    rows = [
        [name, *(f"{100 * marks[lang][mark]:.1f}" for lang in ("en", "zh") for mark in ("top1", "top5"))]
        for name, marks in exam["models"].items()
    ]
    header = ["", "English top-1", "top-5", "Chinese top-1", "top-5"]
    parts = [
        "## Figures",
        f"Zero-shot on {exam['num_images']:,} pictures of {exam['num_classes']:,} classes "
        f"({plain_text(exam['exam'])}), in percent:",
        table(header, rows),
    ]
    return parts + (_int8(int8) if int8 else [])


def _int8(int8: dict) -> list[str]:
    """How far int8 is from float32."""
    top1 = int8["top1"].items()
    rows = [[name, *(f"{100 * marks[lang]:.1f}" for lang in ("en", "zh"))] for name, marks in top1]
    images, texts = (
        f"{values['mean']:.4f} (least {values['least']:.4f})"
        for values in (int8["cosine"][kind] for kind in ("images", "texts"))
    )
    return [
        f"The ONNX files in int8 have {sum(int8['megabytes'].values()):.1f} MB. On {int8['num_images']:,} of "
        f"these pictures their mean cosine with float32 is {images}, on the class names {texts}:",
        table(["ONNX", "English top-1", "Chinese top-1"], rows),
    ]
