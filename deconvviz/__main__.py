"""`python -m deconvviz`."""

from deconvviz.cli import main

main()
