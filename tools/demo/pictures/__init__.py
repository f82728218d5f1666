"""The training images of the demo models, drawn.

scenes.py      what an image shows, at random
layout.py      where each thing is, and how large
outlines.py    the shapes
canvas.py      what all styles draw with
styles.py      the styles
rendering.py   from a scene to its image
"""
