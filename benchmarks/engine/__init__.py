"""The whole engine beside plain diffusers: `python -m benchmarks.engine`.

__main__.py    the options, the rows, and what is printed
requests.py, switching.py, cold.py, stopping.py, exactness.py, caps.py, compiling.py    the rows
"""
