"""Everything worth knowing about a GPU, from one call: `python -m benchmarks.gpu --out DIR`.

__main__.py    the options, and what is printed
rows.py        every row: what measures it, how long it is planned to take, in which process
supervisor.py  runs the rows in a process that may hang or die, and goes on after it
worker.py      that process; row.py: what the two tell each other
context.py     what all rows share: one engine, two models, plain diffusers
requests.py, decoding.py, adapting.py, exactness.py, switching.py    the measurements
book.py        the JSON and the table; card.py: the machine they come from; clock.py: its seconds
call.py        what this call and that of families/ have in common
candidates/    faster ways to run the engine
families/      the model families beside SDXL, in a call of their own
wheels.py      packages for a machine without a network
"""
