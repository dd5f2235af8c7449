"""Python imports this at its start in every process of a fault campaign: PYTHONPATH leads here."""

import os

if "ABLATE_CAMPAIGN" in os.environ:
    import victim

    victim.watch()
