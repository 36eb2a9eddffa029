"""Step 4, embed_pairs: kept pairs and text lists in, training shards with the teacher's vectors out.

Vectors and scores are computed once, by Ray Data over shards; no teacher runs in a training loop. What the
version of the data set before has stored is not computed again.
"""

from dataclasses import dataclass

from kfp import dsl

from components.data_version import Known
from components.image import step_component
from infra.console import say, track
from infra.places import fetched, known_path
from infra.storage import AnyPath
from infra.store import read_json, write_json
from infra.working import refer_to


@dataclass(frozen=True)
class TextList:
    """A file with one text a line, no image to it. `content` is filled in when the recipe is resolved."""

    path: str
    lang: str
    content: str = ""


@dataclass(frozen=True)
class EmbedPairs:
    """Text without images that the text tower shall learn from, and how pictures meet the teacher.

    Beside the plain picture the teacher sees `num_augmentations` views of it, crops of at least `min_area` of
    its area with colours changed by at most `max_jitter`; training draws among them. Each teacher has
    `num_decoders` threads that make pictures ready; beside a GPU it takes a dozen to keep up.

    `max_teachers` work at once, each on a GPU or a core of its own; a cluster whose workers scale from zero
    is asked for them. 0 is as many as the cluster has when the step begins.

    `known` is filled in when the recipe is resolved: what this step left in the version before.
    """

    texts: tuple[TextList, ...] = ()
    use_gpu: bool = False
    num_decoders: int = 1
    max_teachers: int = 0
    num_augmentations: int = 0
    min_area: float = 0.4
    max_jitter: float = 0.3
    seed: int = 0
    known: Known | None = None


def embed(
    config: EmbedPairs, place: AnyPath, engines: dict, raw: AnyPath, pairs: AnyPath, teacher: AnyPath
) -> dict:
    """Write `shards/`, `captions/`, `scores/` and `texts/`."""
    from training.earlier import teacher_identity
    from training.embed import COUNTS, REUSED, Embedder, shard_items, text_items
    from training.ray_edge import await_devices, map_items, ray_session
    from training.teacher import load_teacher

    for name in ("shards", "captions", "scores", "texts"):
        (place / name).mkdir(exist_ok=True)
    with fetched(teacher, "embed_pairs") as folder:
        made_by, width = teacher_identity(folder), load_teacher(folder).width
    earlier = _usable(config.known, made_by)
    items = shard_items(pairs, raw, place, earlier)
    for source in config.texts:
        items += text_items(source.lang, source.path, place, source.content, earlier=earlier)
    counts, referenced = dict.fromkeys(COUNTS, 0), {}
    arguments = {
        "teacher": teacher,
        "num_threads": 1,
        "num_decoders": config.num_decoders,
        "rules": {
            "num_views": config.num_augmentations,
            "min_area": config.min_area,
            "max_jitter": config.max_jitter,
            "seed": config.seed,
        },
    }
    with ray_session(engines["ray_address"]):
        await_devices("embed_pairs", 1, config.use_gpu)
        done = map_items(Embedder, arguments, items, use_gpu=config.use_gpu, max_actors=config.max_teachers)
        for facts in track("embed_pairs", done, total=len(items), desc="shards and texts"):
            counts = {name: counts[name] + facts[name] for name in counts}
            if name := facts.get("referenced"):
                for file in (f"shards/{name}.tar", f"captions/{name}.parquet"):
                    referenced[file] = earlier / file
    pairs_done, texts_done = counts.pop("pairs"), counts.pop("texts")
    reused = {name.removeprefix("reused_"): counts.pop(name) for name in REUSED}
    facts = {"pairs": pairs_done, "texts": texts_done, "dropped": {k: n for k, n in counts.items() if n}}
    facts |= {"reused": reused} if config.known else {}
    card = {"width": width, "teacher": made_by, **facts}
    write_json(place / "embedded.json", card)
    refer_to(place, referenced)
    say("embed_pairs", f"vectors of {pairs_done} pairs and {texts_done} texts without images")
    if config.known:
        found = "{images} pictures, {captions} captions and {texts} texts".format(**reused)
        say("embed_pairs", f"stored vectors of {found} were used again")
    if facts["dropped"]:
        say("embed_pairs", f"pairs without vectors: {facts['dropped']}")
    return facts


def _usable(known: Known | None, made_by: str) -> AnyPath | None:
    """The folder with an earlier version's vectors, None where there are none of this teacher."""
    if known is None:
        return None
    folder = known_path(known.place)
    if read_json(folder / "embedded.json").get("teacher") == made_by:
        return folder
    say("embed_pairs", f"version {known.version} has another teacher's vectors; all are computed anew")
    return None


@step_component()
def embed_pairs(
    config: dict,
    raw: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    embedded: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
):
    """Store the teacher's vectors with Ray Data."""
    from components.embed_pairs import EmbedPairs, embed
    from components.step import run_step

    inputs = {"raw": raw, "pairs": pairs, "teacher": teacher}
    given = {"in_place": (*inputs, "known"), "finished_by": ("scores/*", "texts/*"), "metrics": metrics}
    run_step("embed_pairs", embed, EmbedPairs, config, inputs, embedded, **given)
