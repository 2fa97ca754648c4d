"""``python -m liucun``."""

from liucun.cli import main

main()
