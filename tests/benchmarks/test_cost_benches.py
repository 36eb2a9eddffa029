"""The benchmarks of cost and of the exam: towers as large as published, the rest at sizes without meaning."""

import re

import numpy as np
import pytest
import torch

from pipelines.students import STUDENTS
from tests.benchmarks import bench_cost, bench_exam
from tests.benchmarks.cost_onnx import OnnxTower, make_run, open_session
from tests.benchmarks.cost_torch import batch_size, count_flops, export, tensors
from tests.benchmarks.towers import named
from tests.benchmarks.turns import Pace, median_seconds
from training.student_cost import student_cost

# Millions of parameters, image and text: ml-mobileclip's README, Chinese-CLIP's README and CLIP's paper.
PUBLISHED = {
    "mobileclip_s0": (11.4, 42.4),
    "chinese_clip_rn50": (38, 39),
    "clip_vit_b32": (87.8, 63.4),
    "chinese_clip_vit_b16": (86, 102),
}


@pytest.fixture(autouse=True)
def threads():
    """What the benchmarks set for their process is set back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def figures(printed: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^figure (\S+) (\S+)$", printed, re.M)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_towers_are_as_large_as_published(name):
    for kind, millions in zip(bench_cost.KINDS, PUBLISHED[name], strict=True):
        tower = named.build_named(name, kind)
        assert tower.num_parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_names_are_those_that_can_be_built():
    assert set(bench_cost.BASELINES) == set(named.BASELINES)


@pytest.mark.parametrize("kind", bench_cost.KINDS)
def test_mobileclip_is_the_same_in_onnx_whatever_the_batch(kind, tmp_path):
    tower = named.build_named("mobileclip_s0", kind)
    path = tmp_path / "tower.onnx"
    export(tower.module, tensors(tower, 2), path)
    with torch.inference_mode():
        ours = tower.module(*tensors(tower, 3).values()).numpy()
    (theirs,) = make_run(open_session(path, 1), OnnxTower(path, kind, tower.side, 3), 3)()
    assert np.abs(theirs - ours).max() < 1e-4


def test_flops_are_those_of_the_students_table():
    cost = student_cost(STUDENTS["nano_vit"], 768)
    assert count_flops(named.build_named("nano_vit", "image")) == cost["image_flops"]
    assert count_flops(named.build_named("nano_vit", "text")) == cost["text_flops"]


def test_large_models_get_small_batches():
    assert [batch_size(flops, 64) for flops in (10**9, 35 * 10**9, 162 * 10**9, 10**13)] == [64, 64, 8, 1]


def test_what_takes_long_has_fewer_turns(monkeypatch):
    now, calls = [0.0], []

    def taking(name: str, seconds: float):
        return lambda: (calls.append(name), now.append(now[-1] + seconds))

    monkeypatch.setattr(Pace, "clock", property(lambda pace: lambda: now[-1]))
    pace = Pace(seconds=20, fewest=3, most=15)
    found = median_seconds({"fast": taking("fast", 1), "slow": taking("slow", 10)}, pace)
    assert found == {"fast": 1, "slow": 10}
    # And once to warm up; the slow one's turns are spread over all rounds.
    assert (calls.count("fast"), calls.count("slow")) == (16, 4)
    assert calls[-1] == "slow"


def test_processor_time_is_of_one_thread():
    with pytest.raises(ValueError, match="--threads 1"):
        Pace(threads=2, cpu_time=True)


def test_a_table_of_a_student(capsys, monkeypatch):
    monkeypatch.setattr(bench_cost, "in_own_process", lambda function, *arguments: function(*arguments))
    sizes = "--batch 2 --threads 1 --cpu-time --seconds 0 --fewest 1"
    bench_cost.main(["--students", "nano", "--baselines", *sizes.split()])
    printed = capsys.readouterr().out
    rows = re.findall(r"^\| nano \| (image|text) \| (\S+) \|", printed, re.M)
    assert [kind for kind, _ in rows] == ["image", "text"]
    assert all(float(millions) > 1 for _, millions in rows)
    assert not figures(printed)


def test_figures_are_ratios_of_throughput_in_onnx():
    def cost(model: str, kind: str, rate: float) -> bench_cost.Cost:
        rates = {"torch": 1.0, "fp32": rate}
        return bench_cost.Cost(model, kind, 10**6, 10**9, 8, {"fp32": 4}, rates, rates, {"fp32": 90})

    costs = [cost("small", "image", 90), cost("small", "text", 200), cost("altclip", "image", 3)]
    assert bench_cost.figures(costs, "small") == {"images_vs_altclip": 30}
    row = "| altclip | image | 1.0 | 1.00 | 4 | 1.0 / 3.0 | 1.0 / 3.0 (batch 8) | 90 |"
    assert row in bench_cost.table(costs, 64)


def test_the_exam_against_the_bare_forward(capsys):
    sizes = "--pictures 80 --rounds 1 --threads 1"
    bench_exam.main(["nano", *sizes.split()])
    found = figures(capsys.readouterr().out)
    assert list(found) == ["exam_vs_forward"]
    assert 0 < found["exam_vs_forward"] < 3
