"""What was trained on what: lists with their licences, teacher, student, phases, and what identifies all."""

from dataclasses import dataclass

from training.data_card import UNKNOWN_LICENCE

DATA = {"pairs": "pairs", "texts": "texts", "both": "pairs, and texts"}


@dataclass(frozen=True)
class Source:
    """A list of pairs: its name, its rows, what the recipe says of its licence."""

    name: str
    num_rows: int
    licence: str


@dataclass(frozen=True)
class TrainedOn:
    """Sources, and facts by heading and name."""

    sources: list[Source]
    facts: dict[str, dict[str, str]]

    @property
    def unlicensed(self) -> bool:
        """Whether a list's licence is not stated."""
        return any(source.licence == UNKNOWN_LICENCE for source in self.sources)


def trained_on(
    records: dict[str, dict], results: dict, exported: dict, teacher_parameters: int | None, tags: dict
) -> TrainedOn:
    """The account of a run.

    Args:
        records: of `training.evidence.Evidence`.
        results: evaluate_student's `results.json`; `exported` the facts of export_student.
        tags: where the version comes from, as `components.register_student.lineage` has it.
    """
    facts = {
        "Data": _data(records),
        "Teacher": _teacher(records["teacher"], teacher_parameters),
        "Student": _student(records["distilled"]["values"], results, exported),
        "Training": _training(records),
        "Identity": _identity(tags),
    }
    return TrainedOn(_sources(records["raw"]), {name: rows for name, rows in facts.items() if rows})


def _sources(raw: dict) -> list[Source]:
    """The lists in the recipe's order, which is that of their counts."""
    pairs = zip(raw["values"]["lists"], raw["facts"]["lists"].items(), strict=True)
    return [Source(name, count, given.get("licence") or UNKNOWN_LICENCE) for given, (name, count) in pairs]


def _data(records: dict[str, dict]) -> dict[str, str]:
    crawl, selected = records["raw"]["facts"]["crawl"], records["selection"]["facts"]
    captions = selected["captions"]
    found = {
        "Crawl": f"{crawl['downloaded']:,} pictures of {crawl['urls']:,} addresses "
        f"({crawl['success_rate']:.1%}), {crawl['images_per_second']:,.0f} a second",
        "Training pairs": f"{selected['kept']:,}",
        "Captions": f"{captions['zh']:,} Chinese, {captions['en']:,} English",
    }
    if tokenizer := records["distilled"]["facts"].get("tokenizer"):
        found["Texts"] = f"{tokenizer['texts']:,}, captions and texts without pictures"
    return found


def _teacher(record: dict, parameters: int | None) -> dict[str, str]:
    found = {"Network": record["facts"]["described"]}
    if revision := record["values"].get("revision"):
        found["Revision"] = revision
    return found | ({"Parameters": millions(parameters)} if parameters else {})


def _student(values: dict, results: dict, exported: dict) -> dict[str, str]:
    shape, size = values.get("student") or {}, results["student"]
    found = {"Family": shape["family"], "Picture": f"{shape['image_size']} pixels"} if shape else {}
    found |= {"Parameters": millions(size["parameters"]), "File": f"{size['megabytes']:.1f} MB"}
    if int8 := exported.get("int8"):
        megabytes = sum(int8["megabytes"].values())
        found["In int8"] = f"{megabytes:.1f} MB, {int8['drop_points']:.1f} points of top-1 lost at most"
        found["int8 measured on"] = f"{int8['cpu']}; it holds for every CPU"
    return found


def _training(records: dict[str, dict]) -> dict[str, str]:
    """A line a phase: what learned from how many rows."""
    found = {}
    for stage, step in enumerate(("distilled", "student"), start=1):
        for phase in records[step]["values"].get("phases", []):
            steps, batch = phase["num_steps"], phase["batch_size"]
            terms = ", ".join(term.replace("_", " ") for term in phase["terms"])
            found[f"Stage {stage}, {phase['name']}"] = (
                f"{steps:,} steps of {batch:,} {DATA[phase['data']]}, {steps * batch:,} seen; {terms}"
            )
    return found


def _identity(tags: dict) -> dict[str, str]:
    names = {"recipe": "Recipe", "code": "Code", "data": "Data", "student": "Student", "onnx": "ONNX files"}
    return {shown: tags[name] for name, shown in names.items() if name in tags}


def millions(count: float) -> str:
    """A number of parameters."""
    return f"{count / 1e6:,.1f} million"
