"""Teachers, students, data, losses, the loop, the Ray edge, evaluation, export, registry."""
