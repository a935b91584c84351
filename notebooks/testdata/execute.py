"""Executes a notebook as "Run All" does, and prints a line of JSON for each
cell: its id and the seconds from its request to its reply.

    python execute.py NOTEBOOK OUTPUT
"""

import json
import os
import sys
import time

import nbformat
from nbclient import NotebookClient

source, output = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
started = {}


def begin(cell, cell_index):
    started[cell_index] = time.monotonic()


def end(cell, cell_index, execute_reply):
    seconds = time.monotonic() - started[cell_index]
    print(json.dumps({"id": cell.id, "seconds": seconds}), flush=True)


client = NotebookClient(
    notebook,
    timeout=300,
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
