"""A kind of GPU is one word: of the command line, of the recipe, or of the environment."""

import argparse
import os

import pytest

from components.step import StepError
from pipelines.commands.gpu_option import gpu_option, use_gpu

IN_THE_RECIPE = {"parameters": [("recipe", "full"), ("overrides", '{"gpu": "a100"}')]}
SET = {"parameters": [("recipe", "full")], "set": [("gpu", "l4")]}


@pytest.mark.parametrize(
    "words, run, variable, wanted",
    [
        ([], {}, "", ""),
        ([], {}, "t4", "t4"),
        (["--gpu", "h100"], {}, "t4", "h100"),
        ([], IN_THE_RECIPE, "t4", "a100"),
        ([], SET, "t4", "l4"),
        (["--gpu", "h100"], SET, "", "h100"),
        ([], {"parameters": [("recipe", "full")], "set": []}, "t4", "t4"),
    ],
)
def test_the_nearest_word_counts(monkeypatch, words, run, variable, wanted):
    monkeypatch.setenv("DCCLIP_GPU", variable)
    use_gpu(gpu_option().parse_args(words, argparse.Namespace(**run)))
    assert os.environ["DCCLIP_GPU"] == wanted


@pytest.mark.parametrize("text", ["{", "[1]", "1"])
def test_overrides_that_are_no_object_are_refused(monkeypatch, text):
    monkeypatch.setenv("DCCLIP_GPU", "")
    options = argparse.Namespace(gpu="", parameters=[("overrides", text)])
    with pytest.raises(StepError, match="should be a JSON object"):
        use_gpu(options)
