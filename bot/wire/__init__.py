"""What crosses to an engine in another process or on another machine: JSON, and bytes beside it.

codec.py       dataclasses as JSON: strict, without unknown fields, of bounded size
orders.py      what an engine is to generate; its input pictures by sha256
reports.py     its progress reports; their previews beside them
expected.py    which weights a recipe may name
paintings.py   its images, as raw pixels with a header, and the recipe of all of them
failures.py    what it raised
options.py     what it is built with

Each room has the two halves of one message. The half that reads trusts nothing: it raises WireError
for what is not allowed, whoever sent it. Neither torch nor anything of how it is sent is in here.
"""
