"""The name of a CPU, with what its integer products can do."""

import platform

import pytest

from infra.cpu import cpu_name


@pytest.mark.parametrize(
    "flags, machine, name",
    [
        ("avx2 fma", "x86_64", "Some CPU (x86_64 without VNNI)"),
        ("avx2 avx512_vnni", "x86_64", "Some CPU (x86_64 with VNNI)"),
        ("avx_vnni", "x86_64", "Some CPU (x86_64 with VNNI)"),
        ("asimd", "aarch64", "Some CPU (aarch64)"),
    ],
)
def test_a_cpu_is_named_with_its_kind(tmp_path, monkeypatch, flags, machine, name):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n")
    assert cpu_name(tmp_path / "cpuinfo") == name


def test_without_a_name_there_is_the_architecture(tmp_path):
    assert cpu_name(tmp_path / "missing") == platform.machine()
