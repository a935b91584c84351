"""Executes a notebook as "Run All" does, or only those of its cells that are
named, and prints a line of JSON for each cell: its id and the seconds from its
request to its reply. Waiting for anything ends after PATIENCE seconds.

    python execute.py PATIENCE NOTEBOOK OUTPUT [CELL...]
"""

import json
import os
import sys
import time

import nbformat
from nbclient import NotebookClient

patience, source, output, *cells = sys.argv[1:]
patience = int(patience)
notebook = nbformat.read(source, as_version=4)
if cells:
    notebook.cells = [cell for cell in notebook.cells if cell.id in cells]
started = {}


def begin(cell, cell_index):
    started[cell_index] = time.monotonic()


def end(cell, cell_index, execute_reply):
    seconds = time.monotonic() - started[cell_index]
    print(json.dumps({"id": cell.id, "seconds": seconds}), flush=True)


client = NotebookClient(
    notebook,
    timeout=patience,
    startup_timeout=patience,
    iopub_timeout=patience,  # outputs come after the reply, by default 4 s at most
    raise_on_iopub_timeout=True,
    record_timing=False,
    resources={"metadata": {"path": os.path.dirname(source)}},
    on_cell_execute=begin,
    on_cell_executed=end,
)
try:
    client.execute()
except Exception as failed:  # the outputs tell more
    print(failed, file=sys.stderr)
    sys.exit(1)
finally:
    nbformat.write(notebook, output)
