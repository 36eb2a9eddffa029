"""What a run costs: the arithmetic, files of rates that lack something, and the runbook's table."""

import re
from pathlib import Path

import pytest

from infra.estimate import RATES, RatesError, Training, arithmetic, estimate, read_rates
from pipelines.recipes import RECIPES
from pipelines.samples import samples_seen

RUNBOOK = Path(__file__).parents[2] / "infra" / "README.md"
ROUND = {
    "prices": {"core_hour": 0.5, "gpu_hour": 2.0, "gib_month": 0.25},
    "shares": {"listed": 0.5, "alive": 0.5, "kept": 0.5},
    "core": {"lists": 100, "crawl": 10, "rules": 100, "pictures": 50, "select": 200, "select_rows": 1000},
    "gpu": {"g": {"teacher": 20, "student": 40, "texts": 80}},
    "bytes": {"picture": 1000, "vectors": 500, "download": 4000},
}


def test_rows_shrink_on_the_way_and_hours_are_counts_by_rates():
    done = estimate(3_600_000, "g", Training(pairs=144_000, texts=288_000), ROUND)
    counts = {(part.step, part.what): part.count for part in done.parts}
    assert counts["download_pairs", "rows of lists"] == 3_600_000
    assert counts["download_pairs", "URLs"] == 1_800_000
    assert counts["filter_pairs", "pictures"] == 900_000
    assert counts["embed_pairs", "pairs"] == counts["select_pairs", "vectors"] == 450_000
    hours = {(part.step, part.what): part.hours for part in done.parts}
    assert hours["download_pairs", "rows of lists"] == 10
    assert hours["download_pairs", "URLs"] == 50
    assert hours["filter_pairs", "rows"] == hours["filter_pairs", "pictures"] == 5
    assert hours["embed_pairs", "pairs"] == 6.25
    assert done.hours("gpu") == 6.25 + 1 + 1


def test_near_duplicates_grow_faster_than_rows():
    """n log n: a row among a million costs twice what it cost among the thousand that were measured."""
    done = estimate(8_000_000, "g", Training(0, 0), ROUND)
    (part,) = [part for part in done.parts if part.step == "select_pairs"]
    assert part.count == 1_000_000 and part.rate == pytest.approx(100)
    (small,) = [p for p in estimate(800, "g", Training(0, 0), ROUND).parts if p.step == "select_pairs"]
    assert small.rate == 200


def test_bytes_and_money():
    done = estimate(8 * 2**20, "g", Training(0, 0), ROUND)
    assert done.downloaded_bytes == 2 * 2**20 * 4000
    assert done.stored_bytes == 2 * 2**20 * 1000 + 2**20 * 1500
    machines = done.hours("core") * 0.5 + done.hours("gpu") * 2.0
    assert done.cost(ROUND["prices"]) == pytest.approx(machines + 3500 / 1024 * 0.25)


def test_an_unknown_gpu_is_told_with_those_there_are():
    with pytest.raises(RatesError, match=r"no rates of the GPU 'x'; there is g"):
        estimate(1e6, "x", Training(0, 0), ROUND)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("crawl = 84", "crawl = 0", "core.crawl must be a number above 0"),
        ("alive = 0.85", 'alive = "much"', "shares.alive must be a number above 0"),
        ("teacher = 210", "", "gpu.a100.teacher must be a number above 0"),
        ("[bytes]", "[bytes", "cannot read the rates"),
    ],
)
def test_wrong_rates_say_where(tmp_path, old, new, said):
    file = tmp_path / "rates.toml"
    file.write_text(RATES.read_text().replace(old, new, 1))
    with pytest.raises(RatesError, match=re.escape(said)):
        read_rates(file)


def test_a_recipe_sees_what_its_phases_do():
    image, text = (200_000 * 4_096, 200_000 * 8_192)
    assert samples_seen(RECIPES["full"]()) == Training(image + 50_000 * 8_192, text)


@pytest.mark.parametrize("pairs", ["10e6", "100e6", "1e9"])
def test_the_runbook_shows_what_the_command_prints(pairs):
    rates, training = read_rates(), samples_seen(RECIPES["full"]())
    printed = arithmetic(estimate(float(pairs), "a100", training, rates), 64, 8, rates["prices"])
    table, _, total = printed.partition("\n\n")
    text = RUNBOOK.read_text()
    assert f"dcclip estimate --pairs {pairs}" in text
    assert total in text
    assert table in text or pairs != "100e6"
