"""Builds the folder that puts an exported pair into a browser: page, library, ONNX Runtime, model.

    index.html page.js style.css ...   the page
    classifier.js                      `createClassifier(url)`, and the modules that it imports
    vendor/                            ONNX Runtime Web and the tokenizer library, from the npm registry
    model/                             the ONNX pair, `onnx.json`, `student/tokenizer.json`

`npm ci` fetches the two packages in the versions that package-lock.json pins by hash, runs none of their
scripts, and keeps what the page needs of them below the user's cache, so that it is fetched once.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.store import identity
from training.export import IMAGE, SETTINGS, TEXT
from training.job import STUDENT
from training.quantize import int8_name

HERE = Path(__file__).parent
PACKAGES = ("package.json", "package-lock.json")
VENDOR = {
    "onnxruntime-web/dist/ort.wasm.bundle.min.mjs": "ort.wasm.bundle.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    "@huggingface/tokenizers/dist/tokenizers.min.mjs": "tokenizers.min.mjs",
    "@huggingface/tokenizers/LICENSE": "LICENSE.tokenizers",
}
# onnxruntime-web's package has no licence file; its package.json says MIT.
NOTICE = "onnxruntime-web: MIT, Microsoft Corporation. @huggingface/tokenizers: Apache-2.0, Hugging Face.\n"
NPM_SECONDS = 600


class BuildError(ValueError):
    """Why the folder cannot be built, and what to do."""


def build_page(export: Path, folder: Path, fp32: bool = False) -> None:
    """Write the folder; what is there of an earlier build is replaced.

    Args:
        export: a folder as export_student writes it.
        fp32: put the float32 pair beside the int8 one.

    Raises:
        BuildError: a file of the export is missing, or npm is, or the registry does not answer.
    """
    files = model_files(export, fp32)
    vendor = fetch_vendor()
    shutil.copytree(HERE / "page", folder, dirs_exist_ok=True)
    shutil.copytree(vendor, folder / "vendor", dirs_exist_ok=True)
    for name in files:
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(export / name, folder / "model" / name)


def model_files(export: Path, fp32: bool) -> list[str]:
    """Names of the files that the page loads.

    Raises:
        BuildError: one is missing.
    """
    pairs = [int8_name(IMAGE), int8_name(TEXT), *([IMAGE, TEXT] if fp32 else [])]
    names = [SETTINGS, f"{STUDENT}/tokenizer.json", *pairs]
    missing = [name for name in names if not (export / name).is_file()]
    if missing:
        raise BuildError(
            f"{export} has no {', '.join(missing)}: name a folder that export_student has written, "
            "ROOT/store/export_student/IDENTITY"
        )
    return names


def fetch_vendor() -> Path:
    """The folder with what the page needs from the npm registry.

    Raises:
        BuildError: npm is missing or fails.
    """
    kept = cache_folder() / "web" / identity(*((HERE / name).read_text() for name in PACKAGES))
    if kept.is_dir():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        modules, ready = _install(Path(scratch)), Path(scratch) / "ready"
        ready.mkdir()
        for source, name in VENDOR.items():
            shutil.copy(modules / source, ready / name)
        (ready / "NOTICE").write_text(NOTICE)
        if not kept.is_dir():
            ready.rename(kept)
    return kept


def _install(scratch: Path) -> Path:
    """Packages as the lock file pins them, `node_modules`."""
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError(
            "npm is not installed, and the page needs onnxruntime-web and @huggingface/tokenizers from its "
            "registry: install Node.js (Debian: apt-get install npm), then build again"
        )
    for name in PACKAGES:
        shutil.copy(HERE / name, scratch)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=NPM_SECONDS)
    except subprocess.TimeoutExpired:
        raise BuildError(f"npm has not fetched the page's packages after {NPM_SECONDS} seconds") from None
    if done.returncode:
        raise BuildError(f"npm could not fetch the page's packages: {done.stderr.strip()[-500:]}")
    return scratch / "node_modules"


def cache_folder() -> Path:
    """Where a user's programs keep what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcclip"
