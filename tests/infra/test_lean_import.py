"""Libraries without a large one that they can do without; what must not load torch does not."""

import importlib
import subprocess
import sys

import pytest

from infra.lean_import import without


def test_a_package_cannot_be_imported_inside_and_can_be_outside():
    sys.modules.pop("colorsys", None)
    with without("colorsys"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").__name__ == "colorsys"


def test_a_package_that_is_loaded_stays():
    with without("sys"):
        assert importlib.import_module("sys") is sys


# Each of these is loaded by many processes that compute nothing with torch.
@pytest.mark.parametrize(
    "module", ["pipelines.local", "components.crawl", "spark_jobs.drop_samples", "training.data_card"]
)
def test_torch_is_not_loaded_for_what_needs_none(module):
    script = f"import sys, {module}; print(sorted({{'torch', 'transformers', 'mlflow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
