"""Labels for a picture, on the ONNX pair with onnxruntime, tokenizers, numpy and pillow alone.

    python try_onnx.py PICTURE lemon 柠檬 'a man' 男人

With `int8` in front of the picture the small files answer.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer

from infra.decode import decode

here, small = Path(__file__).parent, sys.argv[1:2] == ["int8"]
suffix, (picture, *labels) = "int8.onnx" if small else "onnx", sys.argv[1 + small :] or [""]
if not labels:
    sys.exit(__doc__)
settings = json.loads((here / "onnx.json").read_text())

image, side = decode(Path(picture).read_bytes()), settings["image_size"]
pixels = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
pixels = (pixels - np.float32(settings["mean"])) / np.float32(settings["std"])

tokenizer = Tokenizer.from_file(str(here / "student" / "tokenizer.json"))
tokenizer.enable_truncation(settings["max_tokens"])
tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"), pad_token="[PAD]")
tokens = tokenizer.encode_batch(labels)
texts = {
    "input_ids": np.array([row.ids for row in tokens]),
    "attention_mask": np.array([row.attention_mask for row in tokens]),
}

image_tower, text_tower = (
    onnxruntime.InferenceSession(here / f"{tower}.{suffix}") for tower in ("image", "text")
)
(image_vector,) = image_tower.run(None, {"pixel_values": pixels.transpose(2, 0, 1)[None]})[0]
logits = settings["scale"] * text_tower.run(None, texts)[0] @ image_vector
odds = np.exp(logits - logits.max())
for label, score in sorted(zip(labels, odds / odds.sum(), strict=True), key=lambda item: -item[1]):
    print(f"{100 * score:5.1f}%  {label}")
