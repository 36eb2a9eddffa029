"""Step 4, embed_pairs: kept pairs and text lists in, training shards with the teacher's vectors out.

Vectors and scores are computed once, by Ray Data over shards; no teacher runs in a training loop.
"""

from dataclasses import dataclass
from pathlib import Path

from kfp import dsl

from components.image import step_component
from infra.console import say, track
from infra.store import write_json


@dataclass(frozen=True)
class TextList:
    """A file with one text a line, no image to it. `content` is filled in when the recipe is resolved."""

    path: str
    lang: str
    content: str = ""


@dataclass(frozen=True)
class EmbedPairs:
    """Text without images that the text tower shall learn from, and whether the teacher gets GPUs."""

    texts: tuple[TextList, ...] = ()
    use_gpu: bool = False


def embed(config: EmbedPairs, place: Path, engines: dict, raw: Path, pairs: Path, teacher: Path) -> dict:
    """Write `shards/`, `scores/` and `texts/`."""
    from training.embed import Embedder, shard_items, text_items
    from training.ray_edge import map_items, ray_session
    from training.teacher import load_teacher

    for folder in ("shards", "scores", "texts"):
        (place / folder).mkdir(exist_ok=True)
    items = shard_items(pairs, raw, place)
    for source in config.texts:
        items += text_items(source.lang, source.path, place)
    counts = {"pairs": 0, "texts": 0}
    with ray_session(engines["ray_address"]):
        arguments = {"teacher": str(teacher), "num_threads": 1}
        done = map_items(Embedder, arguments, items, use_gpu=config.use_gpu)
        for facts in track("embed_pairs", done, total=len(items), desc="shards and texts"):
            counts = {name: counts[name] + facts[name] for name in counts}
    write_json(place / "embedded.json", {"width": load_teacher(teacher).width, **counts})
    say("embed_pairs", f"vectors of {counts['pairs']} pairs and {counts['texts']} texts without images")
    return counts


@step_component()
def embed_pairs(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    embedded: dsl.Output[dsl.Dataset],
):
    """Store the teacher's vectors with Ray Data."""
    from components.embed_pairs import EmbedPairs, embed
    from components.step import run_step

    inputs = {"raw": raw, "pairs": pairs, "teacher": teacher}
    run_step("embed_pairs", embed, EmbedPairs, config, inputs, embedded)
