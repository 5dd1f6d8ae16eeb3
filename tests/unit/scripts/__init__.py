"""What the recipes run."""
