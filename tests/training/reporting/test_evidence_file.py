"""The evidence of a run comes back as it was written."""

from toy_report import evidence

from training.evidence import read_evidence, write_evidence


def test_evidence_comes_back_as_it_was_written(tmp_path):
    write_evidence(tmp_path, evidence())
    found = read_evidence(tmp_path)
    wanted = evidence()
    assert (found.confusions, found.drops) == (wanted.confusions, wanted.drops)
    assert (found.records, found.curves) == (wanted.records, wanted.curves)
    assert [item.truth for item in found.examples] == [item.truth for item in wanted.examples]
    assert found.examples[0].top5["zh"] == [["辣椒", 0.5], ["书", 0.25]]
