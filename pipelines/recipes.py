"""Recipes: what a run does, as values. One function a recipe returns a complete value.

A path that is neither absolute nor a URL stands below the storage root. A value is overridden at submission
by its dotted name, for example `distill_student.seed=1` or `distill_student.phases.0.num_steps=500`.
"""

from dataclasses import dataclass, field, replace

from components.align_student import AlignStudent
from components.data_version import DataSet
from components.distill_student import DistillStudent
from components.download_pairs import DownloadPairs
from components.embed_pairs import EmbedPairs, TextList
from components.evaluate_student import EvaluateStudent
from components.export_student import ExportStudent
from components.filter_pairs import FilterPairs
from components.prepare_teacher import PrepareTeacher
from components.register_student import RegisterStudent
from components.select_pairs import SelectPairs
from components.url_lists import UrlList
from pipelines.demo import EXAM, DemoCorpus
from pipelines.sizes import SMALL_PODS, Resources, check_gpu
from pipelines.students import NANO, SMALL, efficientnet_lite
from spark_jobs.limits import CHINESE, ENGLISH, ImageLimits
from training.exams.settings import ExamSource
from training.settings import LitTuning, Phase, TeacherMember

ATTRIBUTIONS = (
    "Pictures: Twemoji, copyright Twitter, Inc and other contributors, CC-BY 4.0.",
    "Captions: Unicode CLDR names through the emoji package. Words: wordfreq.",
    "Image network: EfficientNet-Lite0. Text encoder: multilingual universal sentence encoder v3.",
)


@dataclass(frozen=True)
class Recipe:
    """One value a step, the demo corpus to build first, if any, and the data set that the lists become.

    `gpu` is a kind of GPU, `a100`, that the steps' own pods ask for; empty where there is none, or a Ray
    cluster has them (infra/README.md). `resources` are the sizes of those pods.
    """

    download_pairs: DownloadPairs
    filter_pairs: FilterPairs
    prepare_teacher: PrepareTeacher
    embed_pairs: EmbedPairs
    select_pairs: SelectPairs
    distill_student: DistillStudent
    align_student: AlignStudent
    evaluate_student: EvaluateStudent
    export_student: ExportStudent
    register_student: RegisterStudent
    corpus: DemoCorpus | None = None
    dataset: DataSet = field(default_factory=DataSet)
    gpu: str = ""
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self):
        check_gpu(self.gpu, self.resources)


IMAGE_TOWER = Phase(
    name="image tower",
    towers=("image",),
    data="pairs",
    terms={"image_feature": 1.0, "image_affinity": 1.0, "image_contrastive": 0.2},
    num_steps=300,
    batch_size=64,
    learning_rate=2e-3,
    weight_decay=0.05,
    augment=0.04,
    # Inherited, and most of a step's time otherwise; what they learn does not help (training/README.md).
    frozen_blocks=3,
)
TEXT_TOWER = Phase(
    name="text tower",
    towers=("text",),
    data="texts",
    terms={"text_feature": 1.0, "text_affinity": 1.0},
    num_steps=700,
    batch_size=256,
    learning_rate=7e-4,
    # Twice as fast where there are instructions for it; the image tower's depthwise convolutions are not.
    precision="auto",
)
BOTH_TOWERS = Phase(
    name="alignment",
    towers=("image", "text"),
    data="both",
    terms={"contrastive": 0.2, **IMAGE_TOWER.terms, **TEXT_TOWER.terms},
    num_steps=50,
    batch_size=64,
    learning_rate=1e-4,
    augment=0.04,
)

CAPTIONS = "captions: Unicode CLDR (Unicode licence); pictures: Twemoji (CC-BY 4.0)"
# The names of emoji are short, and the pictures small, of few colours and on white.
SHORT_CHINESE = replace(CHINESE, min_chars=1, min_words=0)
SHORT_ENGLISH = replace(ENGLISH, min_chars=2, min_words=0)
# They are also made of rare words, many of them once: a word that is no token is hardly learned. And at 72
# pixels the network that the student starts from sees things smaller than it has learned to. Two blocks of
# its sixth stage cost little and know more of things than the fifth.
SIX_STAGES = efficientnet_lite([16, 24, 40, 80, 112, 192], [1, 2, 2, 3, 3, 2], drop_connect=0.0)
EMOJI_STUDENT = replace(
    NANO, image_size=96, vocab_size=80_000, vision={**SIX_STAGES, "squeeze_expansion_ratio": 0.01}
)
EMOJI = ImageLimits(min_side=32, min_bytes=100, min_sigma=2.0, min_entropy=0.1)


def demo() -> Recipe:
    """The whole emoji corpus on a laptop, in minutes; what `make run` runs."""
    exam = f"corpus/{EXAM}"
    return Recipe(
        corpus=DemoCorpus(),
        download_pairs=DownloadPairs(
            lists=tuple(UrlList(f"corpus/pairs.{lang}.csv", lang, licence=CAPTIONS) for lang in ("zh", "en")),
            encode_format="png",
            encode_quality=1,
            pairs_per_shard=500,
            retry_rounds=1,
            max_requests_per_second_per_host=0.0,
        ),
        filter_pairs=FilterPairs(zh=SHORT_CHINESE, en=SHORT_ENGLISH, image=EMOJI),
        prepare_teacher=PrepareTeacher(source="lit:"),
        embed_pairs=EmbedPairs(
            texts=(TextList("corpus/texts.zh.txt", "zh"), TextList("corpus/texts.en.txt", "en"))
        ),
        # Emoji of one thing in other skin tones are at 0.99, each with a caption of its own.
        select_pairs=SelectPairs(drop_share=0.02, near_duplicate_cosine=0.995),
        distill_student=DistillStudent(EMOJI_STUDENT, (IMAGE_TOWER, TEXT_TOWER)),
        align_student=AlignStudent((BOTH_TOWERS,)),
        evaluate_student=EvaluateStudent(exam, attributions=ATTRIBUTIONS),
        export_student=ExportStudent(exam),
        register_student=RegisterStudent(exam),
        dataset=DataSet("demo"),
        resources=SMALL_PODS,
    )


SMOKE_TUNING = LitTuning(networks=("efficientnet-lite0",), image_size=96, hidden=64, epochs=20, batch_size=64)


def smoke() -> Recipe:
    """The demo made tiny: every step for real, in about three minutes; what the tests run."""
    base = demo()
    student = replace(
        NANO,
        image_size=32,
        vocab_size=2_000,
        text={**NANO.text, "hidden_size": 64, "num_hidden_layers": 1, "intermediate_size": 128},
    )
    phases = tuple(replace(phase, num_steps=60, batch_size=32) for phase in base.distill_student.phases)
    return replace(
        base,
        corpus=DemoCorpus(40, max_concepts=100, max_words=300, num_phrases=50, num_variants=50),
        download_pairs=replace(base.download_pairs, pairs_per_shard=100),
        prepare_teacher=PrepareTeacher("lit:", lit=SMOKE_TUNING),
        distill_student=DistillStudent(student, phases),
        # Stage 1 has two workers; here one more would do nothing but start.
        align_student=AlignStudent((replace(BOTH_TOWERS, num_steps=10, batch_size=32),), num_workers=1),
        dataset=DataSet("smoke"),
    )


def full() -> Recipe:
    """The paper's setting at web scale, for a cluster: AltCLIP teaches a student of at most 60M parameters.

    Batch sizes, steps and rates are ours; the paper's are not public. The lists are Wukong's and CC12M's
    as published, below the storage root under `lists/`; below `exams/` there are ELEVATER's sets and
    `gate`, the set that decides between champion and challenger (clip_benchmark's layout, class names in
    both languages).
    """
    base, gate = demo(), "exams/gate"
    phases = (
        replace(
            IMAGE_TOWER,
            num_steps=200_000,
            batch_size=4_096,
            learning_rate=1e-3,
            precision="auto",
            frozen_blocks=0,
        ),
        replace(TEXT_TOWER, num_steps=200_000, batch_size=8_192, learning_rate=1e-3),
    )
    alignment = replace(BOTH_TOWERS, num_steps=50_000, batch_size=8_192, learning_rate=2e-4, precision="auto")
    return replace(
        base,
        corpus=None,
        download_pairs=DownloadPairs(
            lists=(
                UrlList("lists/wukong", "wukong"),
                UrlList("lists/cc12m.tsv", "cc12m"),
            ),
            num_processes=16,
            num_threads=256,
            retry_rounds=1,
        ),
        filter_pairs=FilterPairs(en=replace(ENGLISH, max_foreign_score=0.8), simplify=True),
        prepare_teacher=PrepareTeacher("hf:BAAI/AltCLIP", precision="bfloat16"),
        embed_pairs=EmbedPairs(use_gpu=True, num_decoders=12, max_teachers=8),
        select_pairs=SelectPairs(drop_share=0.3, near_duplicate_cosine=0.95, max_word_count=20_000),
        distill_student=DistillStudent(SMALL, phases, num_workers=8, use_gpu=True),
        align_student=AlignStudent((alignment,), num_workers=8, use_gpu=True),
        evaluate_student=EvaluateStudent(gate, exams=(ExamSource("elevater", "exams/elevater"),)),
        export_student=ExportStudent(gate),
        register_student=RegisterStudent(gate),
        dataset=DataSet("full", grow=True),
        resources=Resources(),
    )


def full_ensemble() -> Recipe:
    """`full` with two teachers side by side, as MobileCLIP has them: AltCLIP's 768 numbers and SigLIP 2's.

    The student is as wide as both: 1,536.
    """
    teachers = (TeacherMember("hf:BAAI/AltCLIP"), TeacherMember("hf:google/siglip2-base-patch16-256"))
    base = full()
    ensemble = PrepareTeacher("ensemble:", members=teachers, precision="bfloat16")
    return replace(base, prepare_teacher=ensemble, dataset=DataSet("full_ensemble", grow=True))


RECIPES = {recipe.__name__: recipe for recipe in (demo, smoke, full, full_ensemble)}
