"""The name of this machine's CPU, for figures that depend on it."""

import platform
import re
from pathlib import Path

# What multiplies 8-bit integers without an intermediate sum in 16 bits.
VNNI = re.compile(r"\b(avx512_vnni|avx_vnni)\b")


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """For example `AMD EPYC (x86_64 without VNNI)`; the architecture alone where Linux does not say more."""
    machine = platform.machine()
    text = cpuinfo.read_text(errors="replace") if cpuinfo.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    if not found:
        return machine
    vnni = f" {'with' if VNNI.search(text) else 'without'} VNNI" if machine == "x86_64" else ""
    return f"{found.group(1).strip()} ({machine}{vnni})"
