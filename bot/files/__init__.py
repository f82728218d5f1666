"""What lies on the disk beside the database: images, inputs, and what an image says of itself."""
