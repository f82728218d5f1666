"""The model families beside SDXL on a GPU: `python -m benchmarks.gpu.families --out DIR`.

__main__.py    the options, and the loop over the families
rows.py        every row: what it measures, how long it is planned to take
models.py      what is measured: the variant, its usual request, its stock pipeline
stock.py       loading and running the stock pipelines
bench.py       one family's files, and the engine that reads them
context.py     what all rows of one family share
standing.py    the engine as on another card
peak.py        the most memory that was taken
watching.py    the largest numbers in a network, and the first that are not finite
requests.py, memory.py, exactness.py, halves.py    the measurements
"""
