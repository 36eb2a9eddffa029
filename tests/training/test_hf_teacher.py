"""Teachers from a directory: five classes of transformers models, tiny and random."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from toy_training import TEXTS, noise, picture
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from infra.store import read_json
from training.hf_teacher import save_hf_teacher
from training.teacher import load_teacher
from training.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(TEXTS, 200, 16)
SIDE = {"height": 32, "width": 32}
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**TINY, "image_size": 32, "patch_size": 16}
# A few positions more than tokens: RoBERTa counts from the padding's number on.
TEXT = {**TINY, "vocab_size": len(TOKENIZER), "max_position_embeddings": 18, "pad_token_id": 0}
ENDS = {"bos_token_id": TOKENIZER.cls_token_id, "eos_token_id": TOKENIZER.sep_token_id}


def make_clip():
    config = hf.CLIPConfig(text_config={**TEXT, **ENDS}, vision_config=VISION, projection_dim=24)
    images = CLIPImageProcessorPil(size=SIDE, crop_size=SIDE)
    return hf.CLIPModel(config), hf.CLIPProcessor(images, TOKENIZER)


def make_altclip():
    config = hf.AltCLIPConfig(
        text_config={**TEXT, **ENDS, "project_dim": 24}, vision_config=VISION, projection_dim=24
    )
    images = CLIPImageProcessorPil(size=SIDE, crop_size=SIDE)
    return hf.AltCLIPModel(config), hf.AltCLIPProcessor(images, TOKENIZER)


def make_chinese_clip():
    config = hf.ChineseCLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    images = ChineseCLIPImageProcessorPil(size=SIDE, crop_size=SIDE)
    return hf.ChineseCLIPModel(config), hf.ChineseCLIPProcessor(images, TOKENIZER)


def make_siglip():
    text = {**TEXT, **ENDS, "max_position_embeddings": 16, "projection_size": 24}
    config = hf.SiglipConfig(text_config=text, vision_config={**VISION, "hidden_size": 24})
    return hf.SiglipModel(config), hf.SiglipProcessor(SiglipImageProcessorPil(size=SIDE), TOKENIZER)


def make_siglip2():
    """SigLIP 2 of any size (NaFlex); its fixed sizes are SiglipModel with another tokenizer."""
    text = {**TEXT, **ENDS, "max_position_embeddings": 16, "projection_size": 24}
    vision = {**TINY, "hidden_size": 24, "patch_size": 16, "num_patches": 4}
    config = hf.Siglip2Config(text_config=text, vision_config=vision)
    images = Siglip2ImageProcessorPil(patch_size=16, max_num_patches=4)
    return hf.Siglip2Model(config), hf.Siglip2Processor(images, TOKENIZER)


def saved(make, place: Path) -> Path:
    """A teacher's directory made from scratch."""
    for part in make():
        part.save_pretrained(place / "source")
    (place / "teacher").mkdir()
    save_hf_teacher(str(place / "source"), None, place / "teacher")
    return place / "teacher"


MAKERS = [make_clip, make_altclip, make_chinese_clip, make_siglip, make_siglip2]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__)
def folder(request, tmp_path_factory) -> Path:
    """A teacher's directory, copied from a model's directory that is there no more."""
    place = tmp_path_factory.mktemp(request.param.__name__)
    teacher = saved(request.param, place)
    (place / "source").rename(place / "elsewhere")
    return teacher


@pytest.fixture(scope="module")
def teacher(folder):
    return load_teacher(folder)


def test_vectors_are_units_of_one_width(teacher):
    images = teacher.embed_images([picture("red"), noise(0), noise(1, (20, 90))])
    texts = teacher.embed_texts(["红色的图片", "a red picture"])
    for vectors, rows in ((images, 3), (texts, 2)):
        assert vectors.shape == (rows, teacher.width) == (rows, 24)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_its_neighbours(teacher):
    texts, images = ["红", "a red picture 0 1 2 3"], [picture("red"), noise(0)]
    assert teacher.embed_texts(texts)[0] == pytest.approx(teacher.embed_texts(texts[:1])[0], abs=1e-5)
    assert teacher.embed_images(images)[0] == pytest.approx(teacher.embed_images(images[:1])[0], abs=1e-5)


def test_different_inputs_differ(teacher):
    texts = teacher.embed_texts(["red", "绿色的图片"])
    images = teacher.embed_images([picture("red"), noise(0)])
    assert np.abs(texts[0] - texts[1]).max() > 1e-5
    assert np.abs(images[0] - images[1]).max() > 1e-5


def test_long_texts_are_cut(teacher):
    assert teacher.embed_texts(["a red picture " * 50]).shape == (1, 24)


@torch.inference_mode()
def test_vectors_are_those_of_the_class_called_directly(folder, teacher):
    """The whole forward pass, whose own logits are the vectors' cosines times a scale, plus a bias if any."""
    model, processor = hf.AutoModel.from_pretrained(folder).eval(), hf.AutoProcessor.from_pretrained(folder)
    images, texts = [picture("red"), noise(0)], ["红色的图片", "a red picture"]
    full = {"padding": "max_length", "max_length": 16} if "siglip" in model.config.model_type else {}
    tokens = processor.tokenizer(texts, **{"padding": True, **full}, return_tensors="pt")
    if full:
        tokens.pop("attention_mask")
    answer = model(**tokens, **processor.image_processor(images, return_tensors="pt"))
    assert teacher.embed_images(images) == pytest.approx(answer.image_embeds.numpy(), abs=1e-5)
    assert teacher.embed_texts(texts) == pytest.approx(answer.text_embeds.numpy(), abs=1e-5)


def test_the_card_says_where_the_teacher_is_from(folder):
    card = read_json(folder / "teacher.json")
    source = str(folder.parent / "source")
    assert card == {"kind": "hf", "source": source, "revision": None, "precision": "float32"}


def make_longwinded_siglip():
    """SigLIP 2's tokenizer: it names no length of its own and does not lower."""
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.model_max_length = int(1e30)
    model, processor = make_siglip()
    return model, hf.SiglipProcessor(processor.image_processor, tokenizer)


def test_siglip_sees_texts_of_its_full_length_in_lower_case(tmp_path):
    teacher = load_teacher(saved(make_longwinded_siglip, tmp_path))
    assert teacher.embed_texts(["a red picture " * 50]).shape == (1, 24)
    assert (teacher.embed_texts(["A Red PICTURE"]) == teacher.embed_texts(["a red picture"])).all()
    alone, beside = (teacher.embed_texts(texts)[0] for texts in (["red"], ["red", "a red picture 0 1 2 3"]))
    assert alone == pytest.approx(beside, abs=1e-5)


def test_half_precision_weights_compute_in_float32(tmp_path):
    def make():
        model, processor = make_chinese_clip()
        return model.half(), processor

    teacher = load_teacher(saved(make, tmp_path))
    assert teacher.model.dtype == torch.float32
    assert np.linalg.norm(teacher.embed_texts(["red"])) == pytest.approx(1, abs=1e-5)


def test_pickled_weights_are_refused(tmp_path):
    model, processor = make_clip()
    model.config.save_pretrained(tmp_path / "source")
    processor.save_pretrained(tmp_path / "source")
    torch.save(model.state_dict(), tmp_path / "source" / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        save_hf_teacher(str(tmp_path / "source"), None, tmp_path / "teacher")


def test_code_in_the_directory_is_not_run(tmp_path):
    source = saved(make_clip, tmp_path).parent / "source"
    (source / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass EvilModel: pass\n")
    config = json.loads((source / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.EvilModel", "AutoConfig": "evil.EvilModel"}
    (source / "config.json").write_text(json.dumps(config))
    save_hf_teacher(str(source), None, tmp_path / "again")
    assert isinstance(load_teacher(tmp_path / "again").model, hf.CLIPModel)
    assert not (tmp_path / "ran").exists()


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision is one of float32, bfloat16, not 'int8'"):
        save_hf_teacher(str(tmp_path), None, tmp_path, "int8")


def test_a_hub_id_without_a_revision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'BAAI/AltCLIP' is a hub id and needs a pinned revision"):
        save_hf_teacher("BAAI/AltCLIP", None, tmp_path)
    assert list(tmp_path.iterdir()) == []
