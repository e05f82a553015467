"""Entry point of `python -m commensal`."""

from commensal.cli import main

main()
