"""What towers are given. No torch here: processes whose memory is measured import it."""

import numpy as np

LENGTH = 32
# Above the special tokens of all vocabularies.
FIRST_TOKEN = 5


def make_inputs(kind: str, batch: int, side: int) -> dict[str, np.ndarray]:
    """A batch of pictures of noise in [-1, 1] for `image`, of texts of 32 tokens for `text`."""
    if kind == "image":
        noise = np.random.default_rng(0).uniform(-1, 1, (batch, 3, side, side))
        return {"pixel_values": noise.astype(np.float32)}
    tokens = np.tile(np.arange(FIRST_TOKEN, FIRST_TOKEN + LENGTH), (batch, 1))
    return {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
