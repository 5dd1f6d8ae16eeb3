"""The archive's watermark and alarm."""
