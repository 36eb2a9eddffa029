"""The end of a local run: what a person wants to know, then figures that a program may want."""

import sys

from components.register_student import REPORT
from infra.places import files_url, local_copy
from infra.store import read_json
from pipelines.local import LocalRun
from pipelines.resolve import STEPS

# Of the URLs, beside those of the version before (spark_jobs/known_urls.py).
STATES = ("new", "retried", "reused", "failed", "gone")
MODELS = ("teacher", "student", "chance")


def exam_table(results: dict) -> list[str]:
    """Zero-shot accuracy in both languages for teacher, student and chance."""
    lines = [f"{'':10}{'English':>18}{'Chinese':>18}", f"{'':10}{'top-1   top-5':>18}{'top-1   top-5':>18}"]
    for model in MODELS:
        cells = [results["models"][model][lang] for lang in ("en", "zh")]
        shown = "".join(f"{100 * cell['top1']:9.1f}%{100 * cell['top5']:7.1f}%" for cell in cells)
        lines.append(f"{model:<10}{shown}")
    return lines


def step_table(run: LocalRun) -> list[str]:
    """Seconds and peak memory of each step."""
    lines = [f"{'step':<18}{'seconds':>8}{'peak MB':>9}"]
    for step in filter(run.records.get, STEPS):
        record = run.records[step]
        note = "  (done before)" if record["reused"] else ""
        lines.append(f"{step:<18}{record['seconds']:8.0f}{record['peak_megabytes']:9.0f}{note}")
    return lines


def figures(run: LocalRun, results: dict) -> dict[str, float]:
    """Named figures of a run."""
    models = results["models"]
    top1 = {
        f"{model}_top1_{lang}": round(models[model][lang]["top1"], 4)
        for model in ("teacher", "student")
        for lang in ("en", "zh")
    }
    return {
        **top1,
        "chance": round(models["chance"]["en"]["top1"], 5),
        "num_unseen_concepts": results["num_classes"],
        "student_parameters": int(results["student"]["parameters"]),
        "run_seconds": round(run.seconds, 1),
        "peak_memory_megabytes": round(max(item["peak_megabytes"] for item in run.records.values())),
    }


def print_summary(run: LocalRun, root: str, s3_endpoint: str = "") -> None:
    """Print everything; of a run without training, what its data came to."""
    if "evaluate_student" not in run.records:
        print_data_summary(run)
        return
    files = {step: files_url(run.places[step], run.records[step]) for step in STEPS}
    with local_copy(
        run.places["evaluate_student"], s3_endpoint, "evaluate_student", ("results.json",)
    ) as place:
        results = read_json(place / "results.json")
    with local_copy(run.places["register_student"], s3_endpoint, "register_student", (REPORT,)) as place:
        report = place / REPORT
    registered = run.records["register_student"]["facts"]
    option = f" --s3-endpoint {s3_endpoint}" if s3_endpoint else ""
    print()
    if run.num_reused == len(STEPS):
        print(f"Nothing to do: all {len(STEPS)} steps were done before with this recipe, input and code.\n")
    print("\n".join(step_table(run)), end="\n\n")
    print(f"Zero-shot on {results['num_classes']} concepts that no training step saw:\n")
    print("\n".join(exam_table(results)), end="\n\n")
    size = results["student"]
    print(f"student      {size['parameters'] / 1e6:.2f} million parameters, {size['megabytes']:.1f} MB")
    print(f"registered   {registered['model']} version {registered['version']:.0f}, {registered['alias']}")
    print(f"             ({registered['reason']})")
    print(f"report       {report}")
    print(f"full log     {run.log}")
    print(f"try it       {sys.argv[0]} try --root {root}{option} YOUR_IMAGE.png lemon 柠檬 'a man' 男人\n")
    for name, value in figures(run, results).items():
        print(f"figure {name} {value}")
    print(f"student {files['align_student']}/student")
    print(f"report {files['register_student']}/{REPORT}")


def print_data_summary(run: LocalRun) -> None:
    """Print what dcclip-data made, and what it found made before."""
    facts = {step: record["facts"] for step, record in run.records.items()}
    crawl, embedded = facts["download_pairs"], facts["embed_pairs"]
    print()
    print("\n".join(step_table(run)), end="\n\n")
    print(f"pictures     {crawl['crawl']['downloaded']:.0f} of {crawl['crawl']['urls']:.0f} URLs")
    if "known" in crawl:
        told = ", ".join(f"{name} {crawl['known'][name]:.0f}" for name in STATES)
        print(f"URLs         {told} (against version {crawl['known']['version']:.0f})")
    if "reused" in embedded:
        told = ", ".join(f"{name} {number:.0f}" for name, number in embedded["reused"].items())
        print(f"vectors used again: {told}")
    print(f"pairs        {facts['select_pairs']['kept']:.0f} to train on")
    print(f"full log     {run.log}\n")
    print(f"figure pictures {crawl['crawl']['downloaded']:.0f}")
    print(f"figure pairs {facts['select_pairs']['kept']:.0f}")
    print(f"figure run_seconds {run.seconds:.1f}")
