"""Executes notebooks, each in a folder of its own, and shows what their cells show: execute.py NOTEBOOK..."""

import sys
import tempfile

import nbclient
import nbformat


def shown(output: nbformat.NotebookNode) -> str:
    data = output.get("data", {})
    return output.get("text") or data.get("text/plain", "")


for path in sys.argv[1:]:
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        for output in cell.outputs:
            print(shown(output).rstrip())
    print(f"{path}: {len(cells)} cells")
