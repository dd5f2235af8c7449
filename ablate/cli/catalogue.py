"""The command that lists the blocks."""

import click

from ablate.cli.group import main
from ablate.cli.options import say


@main.command()
@click.argument("slot", required=False)
@click.option("--markdown", is_flag=True, help="The blocks as a page, with a table of networks and slots.")
def blocks(slot: str | None, *, markdown: bool) -> None:
    """List what may fill each slot, with paper and options; SLOT shows one only.

    \b
    Example: ablate blocks attention
    """
    from ablate import display
    from blocks import catalogue

    if markdown:
        say(catalogue.page(catalogue.read()).rstrip())
        return
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    if slot is not None and slot not in known.slots():
        raise catalogue.CatalogueError(catalogue.unknown("slot", slot, known.slots()))
    for line in display.entries(known, [slot] if slot else known.slots()):
        say(line)
