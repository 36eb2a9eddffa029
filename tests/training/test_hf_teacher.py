"""Teachers from a directory: four families of transformers models, tiny and random."""

from pathlib import Path

import numpy as np
import pytest
import transformers as hf
from toy_training import TEXTS, noise, picture
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

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


@pytest.fixture(scope="module", params=[make_clip, make_altclip, make_chinese_clip, make_siglip])
def folder(request, tmp_path_factory) -> Path:
    """A teacher's directory, copied from a model's directory that is there no more."""
    place = tmp_path_factory.mktemp(request.param.__name__)
    for part in request.param():
        part.save_pretrained(place / "source")
    (place / "teacher").mkdir()
    save_hf_teacher(str(place / "source"), None, place / "teacher")
    (place / "source").rename(place / "elsewhere")
    return place / "teacher"


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


def test_the_card_says_where_the_teacher_is_from(folder):
    card = read_json(folder / "teacher.json")
    assert card == {"kind": "hf", "source": str(folder.parent / "source"), "revision": None}


def test_a_hub_id_without_a_revision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'BAAI/AltCLIP' is a hub id and needs a pinned revision"):
        save_hf_teacher("BAAI/AltCLIP", None, tmp_path)
    assert list(tmp_path.iterdir()) == []
