"""``python -m service`` is ``logitd``."""

from service.cli.main import main

main()
