"""The README's figures, as scripts that anyone can run."""
