"""`python -m ovation`: the same command."""

from ovation.cli import main

main()
