"""The example script, as a reader would run it; that it is right, it checks itself."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "examples/extract_and_plot.py"


def test_the_example_makes_its_figure(tmp_path):
    pytest.importorskip("matplotlib", reason="no matplotlib here")
    subprocess.run([sys.executable, SCRIPT, "figure.png", "--device", "cpu"], cwd=tmp_path, check=True)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
