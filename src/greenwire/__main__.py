"""``python -m greenwire``: the command."""

from .command.cli import main

if __name__ == "__main__":
    main(prog_name="greenwire")
