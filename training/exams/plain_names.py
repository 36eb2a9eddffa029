"""Names as they are compared: of classes, of data sets, of their folders."""

import unicodedata

# A set by the names that ELEVATER's toolkit, clip_benchmark and torchvision give it, the best data first:
# clip_benchmark's voc2007 holds single objects cut out, with one label each, its twin whole pictures.
ALIASES = (
    ("caltech-101", "caltech101"),
    ("eurosat_clip", "eurosat"),
    ("fgvc-aircraft-2013b-variants102", "fgvc_aircraft", "fgvc-aircraft", "aircraft"),
    ("kitti-distance", "kitti_closest_vehicle_distance", "kitti"),
    ("oxford-flower-102", "flowers", "flowers102", "oxford_flowers102"),
    ("oxford-iiit-pets", "pets", "oxford-iiit-pet"),
    ("patch-camelyon", "pcam"),
    ("resisc45_clip", "resisc45"),
    ("stanford-cars", "cars"),
    ("voc-2007-classification", "voc2007_multilabel", "voc2007"),
)


def plain_name(name: str) -> str:
    """Letters and digits alone, without case and accents; the name itself where that leaves nothing."""
    bare = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in bare if char.isalnum()) or name


def names_of(name: str) -> list[str]:
    """The plain names that a set's folder may have."""
    plain = plain_name(name)
    group = next((group for group in ALIASES if plain in map(plain_name, group)), ())
    return [plain, *(plain_name(alias) for alias in group)]
