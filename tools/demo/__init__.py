"""How the demo models were made: their pictures, words, training and measures."""
