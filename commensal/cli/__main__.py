"""Entry point of `python -m commensal.cli`."""

from commensal.cli import main

main()
