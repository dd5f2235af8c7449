"""The final weights of runs, where they are kept."""

import json
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ablate.place import Place
from ablate.tracking.ledger import Ledger
from ablate.tracking.rows import PARTS, Head, head_of
from ablate.tracking.store import Store, folder_of, said

NAME = "weights.pt"


@dataclass(frozen=True)
class Kept:
    """A complete run that keeps its final weights.

    Attributes:
        scores: the last ones, by name.
        parts: what the trial's identity was made of, name and short hash.
        read: returns the weights as they were saved.
    """

    scores: dict[str, float]
    parts: tuple[tuple[str, str], ...]
    read: Callable[[], bytes]


def kept(place: Place, name: str, identities: Collection[str], *, share: bool) -> dict[str, Kept]:
    """Return for each trial a complete run that keeps its weights, of this study where there is one, the first.

    Args:
        place: where the records are.
        name: of the study.
        identities: of the trials that are asked for.
        share: whether runs of other studies count.

    Raises:
        StoreError: if the store cannot be read.
    """
    found: dict[str, Kept] = {}
    with said(place):
        ledger = Ledger(Store(place), name)
        own = ledger.begun().experiment
        experiments = list(ledger.rows.experiments()) if share else [own]
        rows = ledger.rows.trials(experiments, lambda row: row.identity in identities and row.counts)
        for row in sorted(rows, key=lambda row: row.experiment != own):
            if row.identity not in found:
                head = head_of(ledger.client.get_run(row.run_id))
                if ledger.has(head, NAME):
                    parts = json.loads(head.tags.get(PARTS, "{}"))
                    found[row.identity] = Kept(row.metrics, tuple(parts.items()), partial(_read, ledger, head))
    return found


def _read(ledger: Ledger, run: Head) -> bytes:
    place = ledger.place
    with said(place):
        if not place.by_server:
            return (folder_of(place, run.address) / NAME).read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            return Path(ledger.client.download_artifacts(run.run_id, NAME, folder)).read_bytes()
