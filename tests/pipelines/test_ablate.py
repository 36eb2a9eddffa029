"""`dcclip ablation`: its help, a root where nothing was run, and phases made shorter."""

import pytest

from pipelines.ablate import shortened
from pipelines.recipes import IMAGE_TOWER


def test_help_names_the_options(dcclip):
    status, shown, _ = dcclip("ablation", "--help")
    assert status == 0
    assert [
        word for word in ("--root", "--recipe", "--seeds", "--only", "--steps") if word not in shown
    ] == []


def test_a_root_without_a_run_is_one_line(dcclip, tmp_path):
    message, _, _ = dcclip("ablation", "--root", str(tmp_path))
    assert message.startswith("dcclip: ")
    assert message.endswith("holds no finished step; run the pipeline there first")


def test_a_root_in_object_storage_is_refused(dcclip):
    message, _, _ = dcclip("ablation", "--root", "s3://bucket/dcclip")
    assert message == "dcclip: the ablation reads a run in a folder, not s3://bucket/dcclip"


@pytest.mark.parametrize("share, steps", [(1.0, 300), (0.5, 150), (0.0001, 1)])
def test_phases_are_shortened(share, steps):
    assert shortened(IMAGE_TOWER, share).num_steps == steps
