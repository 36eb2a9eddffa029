"""What a run costs: hours of cores and GPUs, storage and money, from rates a second (infra/rates.toml).

`dcclip estimate --pairs 100e6` prints it. Rows of the lists shrink on the way by the shares of the file;
training does not grow with them: a recipe says how many samples it sees.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RATES = Path(__file__).with_name("rates.toml")
HOUR = 3600


class RatesError(Exception):
    """The file of rates lacks something; the message says what."""


@dataclass(frozen=True)
class Training:
    """Samples that both stages see: pairs with a picture, and texts alone."""

    pairs: int
    texts: int


@dataclass(frozen=True)
class Part:
    """One step's work: how many of what, at how many a second, by cores or GPUs."""

    step: str
    what: str
    count: float
    rate: float
    device: str

    @property
    def hours(self) -> float:
        """Of one core or one GPU."""
        return self.count / self.rate / HOUR


@dataclass(frozen=True)
class Estimate:
    """The parts, bytes that stay and bytes that come over the net."""

    parts: tuple[Part, ...]
    stored_bytes: float
    downloaded_bytes: float

    def hours(self, device: str) -> float:
        """Of all cores (`core`) or all GPUs (`gpu`)."""
        return sum(part.hours for part in self.parts if part.device == device)

    def cost(self, prices: Mapping[str, float]) -> float:
        """Of the run, with its data kept for a month."""
        storage = self.stored_bytes / 2**30 * prices["gib_month"]
        machines = (self.hours(device) * prices[f"{device}_hour"] for device in ("core", "gpu"))
        return storage + sum(machines)


def read_rates(path: Path = RATES) -> dict[str, Any]:
    """The file's values; all numbers are above zero.

    Raises:
        RatesError: it cannot be read, or a number is missing or impossible.
    """
    try:
        rates, wanted = tomllib.loads(path.read_text()), tomllib.loads(RATES.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RatesError(f"cannot read the rates in {path}: {error}") from None
    for table, values in wanted.items():
        kinds = rates.get("gpu", {}) if table == "gpu" else {"": rates.get(table, {})}
        names = next(iter(values.values())) if table == "gpu" else values
        for kind, given in kinds.items():
            for name in names:
                if not isinstance(given.get(name), (int, float)) or not given[name] > 0:
                    where = ".".join(filter(None, (table, kind, name)))
                    raise RatesError(f"{path}: {where} must be a number above 0")
    return rates


def estimate(num_pairs: float, gpu: str, training: Training, rates: Mapping[str, Any]) -> Estimate:
    """What a run over so many rows of URL lists takes on GPUs of a kind.

    Raises:
        RatesError: no rates of such a GPU.
    """
    if gpu not in rates["gpu"]:
        raise RatesError(f"no rates of the GPU {gpu!r}; there is {', '.join(rates['gpu'])}")
    shares, core, fast, size = rates["shares"], rates["core"], rates["gpu"][gpu], rates["bytes"]
    asked = num_pairs * shares["listed"]
    got = asked * shares["alive"]
    kept = got * shares["kept"]
    growth = max(1.0, math.log(kept) / math.log(core["select_rows"]))
    parts = (
        Part("download_pairs", "rows of lists", num_pairs, core["lists"], "core"),
        Part("download_pairs", "URLs", asked, core["crawl"], "core"),
        Part("filter_pairs", "rows", asked, core["rules"], "core"),
        Part("filter_pairs", "pictures", got, core["pictures"], "core"),
        Part("embed_pairs", "pairs", kept, fast["teacher"], "gpu"),
        Part("select_pairs", "vectors", kept, core["select"] / growth, "core"),
        Part("distill, align", "pairs seen", training.pairs, fast["student"], "gpu"),
        Part("distill_student", "texts seen", training.texts, fast["texts"], "gpu"),
    )
    stored = got * size["picture"] + kept * (size["picture"] + size["vectors"])
    return Estimate(parts, stored, got * size["download"])


def arithmetic(done: Estimate, cores: int, gpus: int, prices: Mapping[str, float]) -> str:
    """The parts as a table: count, rate, hours of one device, hours on all of them."""
    lines = ["| step | what | count | a second | device hours | hours |", "|---|---|---|---|---|---|"]
    for part in done.parts:
        many = cores if part.device == "core" else gpus
        lines.append(
            f"| {part.step} | {part.what} | {part.count:,.0f} | {part.rate:,.0f} a {part.device} "
            f"| {part.hours:,.1f} | {part.hours / many:,.1f} |"
        )
    return "\n".join([*lines, "", totals(done, cores, gpus, prices)])


def totals(done: Estimate, cores: int, gpus: int, prices: Mapping[str, float]) -> str:
    """All of it, in four lines."""
    core, gpu = done.hours("core"), done.hours("gpu")
    return f"""{core:,.0f} core hours and {gpu:,.0f} GPU hours
{(core / cores + gpu / gpus) / 24:,.1f} days on {cores} cores and {gpus} GPUs
{done.downloaded_bytes / 1e12:,.1f} TB downloaded, {done.stored_bytes / 1e12:,.1f} TB stored
{done.cost(prices):,.0f} to pay, at {prices["core_hour"]} a core hour, {prices["gpu_hour"]} a GPU hour, \
{prices["gib_month"]} a GiB kept for a month"""
