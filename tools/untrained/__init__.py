"""Models of the stock classes with random weights, seeded: tiny ones, and of the published sizes.

A module for each family, with `TINY` and `TRUE` sizes and what builds its stock pipeline from
them. What such a model generates is a texture.

filling.py      the weights
tokenizers.py   tokenizers made in code
qwen3.py        configurations of the text encoder that three of them have
t5.py           the same of T5
"""
