"""The place of the analysts' replay command; this version has none. It will read the same logs and store as everything else."""
