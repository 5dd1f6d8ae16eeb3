"""What is recorded, on its way home."""
