"""The project's students as towers, with token tables of full size."""

from tests.benchmarks.generated_pairs import WIDTH, generated_student
from tests.benchmarks.towers.from_transformers import Images, Texts
from tests.benchmarks.towers.tower import Tower, settle


def build(name: str, kind: str) -> Tower:
    """A tower of a named student with random weights, its vectors as wide as AltCLIP's."""
    student = generated_student(name, WIDTH)
    model, side = student.model, student.image_processor.size["height"]
    unused = "vision_model" if kind == "text" else "text_model"
    if kind == "text":
        delattr(model, unused)
        return Tower(kind, Texts(model).eval())
    delattr(model, unused)
    module = Images(model)
    settle(module, side)
    return Tower(kind, module, side=side)
