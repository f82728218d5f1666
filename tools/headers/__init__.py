"""Write the tensor names and shapes of published models into tests/catalog/weight_files/headers.

__main__.py          builds each model, and writes a file for each layout of its names
models.py            the models: their classes, and the sizes of the published ones
shapes.py            building one without weights
original_names.py    what their authors call what diffusers has renamed
"""
