"""How many parameters a teacher has: counted in its files, and the same as in the loaded model."""

import numpy as np
import onnx
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

from infra.store import write_json
from training.teacher_size import SENTENCE_ENCODER, count_parameters


def tiny_hf(folder):
    """A model from a hub, with its card; gives its number of parameters."""
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 50}, vision_config={**tower, "image_size": 32}, projection_dim=8
    )
    model = CLIPModel(config)
    model.save_pretrained(folder)
    write_json(folder / "teacher.json", {"kind": "hf", "precision": "float32"})
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_model_from_a_hub(tmp_path):
    assert count_parameters(tmp_path) is None
    assert tiny_hf(tmp_path) == count_parameters(tmp_path)


def test_an_ensemble_has_those_of_its_members(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    write_json(tmp_path / "teacher.json", {"kind": "ensemble", "members": ["0", "1"], "weights": [1, 1]})
    number = tiny_hf(tmp_path / "0")
    assert count_parameters(tmp_path) is None
    tiny_hf(tmp_path / "1")
    assert count_parameters(tmp_path) == 2 * number


def test_a_tuned_one_has_networks_head_and_sentence_encoder(tmp_path):
    weight = onnx.numpy_helper.from_array(np.zeros((3, 4), np.float32), "weight")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [weight])), tmp_path / "a.onnx")
    save_file({"layer": torch.zeros(5, 2)}, tmp_path / "head.safetensors")
    save_file({"features": torch.zeros(100)}, tmp_path / "features.safetensors")
    write_json(tmp_path / "teacher.json", {"kind": "lit"})
    assert count_parameters(tmp_path) == 12 + 10 + SENTENCE_ENCODER
