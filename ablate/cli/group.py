"""The group of all commands: errors that a user can mend are sentences, bugs show their traceback."""

import gc
import sys
from typing import Any

import click

from ablate.cli.options import say


class Group(click.Group):
    """Prints the errors that a user can mend as sentences, and lets bugs show their traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt as stop:
            say("stopped; what is complete is recorded, and the same command goes on from there", error=True)
            sys.exit(143 if stop.args == ("SIGTERM",) else 130)
        except Exception as error:
            if not _mendable(error):
                raise
            say(str(error), error=True)
            sys.exit(2)
        finally:
            # The interpreter would search a million objects of MLflow and pandas for garbage before it ends: 1 s.
            gc.freeze()


def _mendable(error: Exception) -> bool:
    from ablate.errors import AblateError
    from blocks.catalogue import CatalogueError
    from reports.errors import ResultsError

    return isinstance(error, AblateError | CatalogueError | ResultsError)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ablate")
def main() -> None:
    """Ablation experiments: declare a study, run it, print the table for the paper.

    \b
    ablate run attention                a study that comes with the package, in about a minute
    ablate plan studies/mine.yml        what a study would train, and how long it would take
    ablate report attention             the table again, for the terminal and for the paper
    ablate ui                           every run in the MLflow UI
    """
