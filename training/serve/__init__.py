"""`dcclip serve`: a small page to try a model on one's own pictures."""
