"""Files other than the database: generated images with their metadata, and input images."""
