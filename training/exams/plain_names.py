"""Names as they are compared: of classes, of data sets, of their folders."""

import unicodedata


def plain_name(name: str) -> str:
    """Letters and digits alone, without case and accents; the name itself where that leaves nothing."""
    bare = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in bare if char.isalnum()) or name
