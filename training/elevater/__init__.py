"""The 20 image-classification sets of ELEVATER: class names and prompts in English and Chinese.

    from training.elevater import ELEVATER, load_set
    load_set("food-101").classes["zh"][70]  # 北京烤鸭

`labels.py` reads the files beside it, one a set; `own_prompts.py` reads a user's own templates and names.
No pictures here, and nothing is fetched. README.md tells where the names come from.
"""

from training.elevater.labels import ELEVATER, GENERIC_TEMPLATES, ExamSet, load_set
from training.elevater.own_prompts import read_class_names, read_templates

__all__ = [
    "ELEVATER",
    "GENERIC_TEMPLATES",
    "ExamSet",
    "load_set",
    "read_class_names",
    "read_templates",
]
