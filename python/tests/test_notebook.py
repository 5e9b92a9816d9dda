"""The notebook of docs, cell by cell, with the newest packages that are installed."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/notebook.ipynb"


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    for name in ("specutils", "xarray", "scipy"):
        pytest.importorskip(name)
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    names = {}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "the notebook is kept without outputs"
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert names["chi"].std() < 1.5 and names["frame"].flux.shape == names["by_axis"].flux.shape
