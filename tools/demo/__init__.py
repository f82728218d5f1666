"""How the demo models were made: training images, captions, training and evaluation."""
