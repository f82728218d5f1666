"""The figures in docs/figures.md, as scripts that anyone can run."""
