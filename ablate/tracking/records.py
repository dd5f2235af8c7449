"""The record of one study: written by one process, read by any."""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.config import parse_study
from ablate.design import Plan
from ablate.errors import StoreError
from ablate.job import Examination
from ablate.place import Place
from ablate.spool import Entry
from ablate.study import Cost, Run, RunState, Study, Trial
from ablate.tracking import descriptions, entries, views
from ablate.tracking.adoption import adopt
from ablate.tracking.frame import COSTS, curves_of, frame_of
from ablate.tracking.ledger import FORMAT, Ledger
from ablate.tracking.rows import HELD_OUT, NETWORK, Row, Wanted, head_of
from ablate.tracking.store import Store, said, settle, speaking
from blocks.catalogue import unknown

if TYPE_CHECKING:
    import mlflow
    import pandas as pd

# What an older ablate did not note.
UNSAID: dict[str, Any] = {
    "share": False, "search": None, "selection": [], "selected": {}, "design": "", "factors": [], "calibration": [],
    "adaptive": None, "selects": False, "select": "held-out", "split": "", "remarks": [],
}  # fmt: skip


@dataclass(frozen=True)
class Stale:
    """A complete run that does not count any more, and why."""

    setting: str
    seed: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """What the record has of an attempt that has ended.

    Attributes:
        params: what was chosen, the labels by slot among it.
        curves: of the metric that was asked for all epochs, of others the last value.
        started: seconds since 1970, as `ended`.
        fell_behind: whether a search saw enough of its setting then.
    """

    params: dict[str, str]
    seed: int
    identity: str
    state: RunState
    curves: dict[str, list[float]]
    cost: Cost | None
    started: float
    ended: float
    fell_behind: bool


class Records:
    """The runs of one study in one store; the one writer of it.

    Raises:
        StoreError: if the store cannot be opened, or something newer has written it.
    """

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        self.name = name
        self._ledger = Ledger(Store(place), name)
        self._rows = self._ledger.rows
        self._circumstances: dict[str, str] | None = None

    @property
    def _client(self) -> "mlflow.MlflowClient":
        return self._ledger.client

    # -- the study -----------------------------------------------------------------------------------------------

    def check_path(self, study: Study) -> None:
        """Refuse a study whose name another file has taken."""
        parent = self._ledger.parent
        taken = parent.tags.get("ablate.path") if parent else None
        if taken is not None and taken != study.path:
            raise StoreError(
                f"a study called {study.name!r} has been run from {taken}; this one is {study.path}: "
                "give it another name, with `name:` in the file or another file name"
            )

    @speaking
    def begin(self, study: Study, hardware: str = "") -> dict[str, int]:
        """Open the study's parent run, and close as killed what a killed parent left open.

        What its spool holds must have been written before.

        Returns:
            For each trial that was interrupted, the last epoch that is recorded: its last attempt was killed, it has no
            complete run, and the study has not run to its end since, which leaves nothing to go on from.
        """
        number = self._ledger.open()
        self._circumstances = entries.circumstances(hardware)
        self._ledger.note("ablate.format", str(FORMAT))
        tags = {
            "ablate.kind": "study", "ablate.path": study.path, **self._circumstances, **dict(study.tags),
        }  # fmt: skip
        parent = self._ledger.parent
        was_finished = parent is not None and parent.status == "FINISHED"
        if parent is None:
            parent = self._ledger.parent = head_of(self._client.create_run(number, run_name=study.name, tags=tags))
        else:
            self._ledger.tag(parent.run_id, tags)
            self._client.update_run(parent.run_id, status="RUNNING")
        self._ledger.put(parent, f"{study.name}.yml", study.text.encode())
        interrupted = self._close_orphans(study.metric.name)
        return {} if was_finished else interrupted

    def _close_orphans(self, metric: str) -> dict[str, int]:
        rows = sorted(self._own(metrics=False), key=attrgetter("started"))
        ended = {row.tags.get("ablate.attempt") for row in rows if row.state is not RunState.RUNNING}
        complete = {row.identity for row in rows if row.counts}
        # Of each trial, when its last attempt began that ended by itself.
        gave_up = {row.identity: row.started for row in rows if row.state in (RunState.FAILED, RunState.PRUNED)}
        killed = {}
        for row in rows:
            if row.state not in (RunState.RUNNING, RunState.KILLED):
                continue
            if row.state is RunState.RUNNING and row.tags.get("ablate.attempt") in ended:
                self._client.delete_run(row.run_id)  # a server's lost answer left it twice
                continue
            if row.state is RunState.RUNNING:
                self._client.set_terminated(row.run_id, "KILLED")
            if row.identity not in complete and row.started > gave_up.get(row.identity, -1):
                killed[row.run_id] = row.identity
        epochs = dict.fromkeys(killed.values(), 0)
        for run_id, points in self._rows.histories(killed, metric).items():
            epochs[killed[run_id]] = max(epochs[killed[run_id]], *(epoch for epoch, _ in points), 0)
        return epochs

    @speaking
    def planned(
        self, study: Study, plan: Plan, trials: Iterable[Trial], selection: Iterable[Trial] = (), *, split: str = ""
    ) -> None:
        """Note what is planned, in place of what was; what a search tries in `selection`, on which data in `split`."""
        content = entries.planned(study, plan, trials, selection, split)
        parent = self._ledger.begun()
        self._ledger.put(parent, "plan.json", json.dumps(content, ensure_ascii=False, indent=1).encode())
        n_trials = len(content["trials"]) + len(content["selection"])
        note = descriptions.of_study(study, plan, n_trials=n_trials, split=split)
        self._client.set_tag(parent.run_id, "mlflow.note.content", note, synchronous=True)
        self._ledger.note(views.TAG, views.view_of(content))

    @speaking
    def put_report(self, files: Mapping[str, bytes]) -> None:
        """Keep a report with the study's own run, in place of an earlier one; MLflow shows its index.html inline.

        Args:
            files: their contents by name.

        Raises:
            StoreError: if the store cannot be written.
        """
        self._ledger.replace(self._ledger.begun(), "report", files)

    @speaking
    def addresses(self) -> dict[str, str]:
        """Return the addresses of the study's pages below that of MLflow: runs, study, compare and report.

        What there is not is left out: no report was kept, or fewer than two settings can be compared.
        """
        parent, planned = self._ledger.begun(), self.plan()
        counting = self._counting(
            {identity for *_, identity in planned["trials"]}, share=planned["share"], metrics=False
        )
        first: dict[str, str] = {}
        for label, _, identity in planned["trials"]:
            if identity in counting:
                first.setdefault(label, counting[identity].run_id)
        noted = self._ledger.experiment.tags if self._ledger.experiment else {}
        return views.addresses(
            parent.experiment, parent.run_id, compared=list(first.values())[: views.MOST_COMPARED],
            has_view=views.TAG in noted, has_report=self._ledger.has(parent, "report/index.html"),
        )  # fmt: skip

    @speaking
    def end(self, *, failed: bool = False, killed: bool = False) -> None:
        """Close the parent run."""
        status = "KILLED" if killed else "FAILED" if failed else "FINISHED"
        self._client.set_terminated(self._ledger.begun().run_id, status)
        if self.place.uri is None:
            settle(self.place)

    @speaking
    def plan(self) -> dict[str, Any]:
        """Return what was planned when the study was last run."""
        planned: dict[str, Any] = json.loads(self._ledger.get(self._ledger.begun(), "plan.json"))
        return UNSAID | planned  # what an older ablate planned says less

    @speaking
    def study(self) -> Study:
        """Return the study as its file was when it was last run.

        Raises:
            StudyError: if this ablate reads that file differently.
        """
        parent = self._ledger.begun()
        text = self._ledger.get(parent, f"{self.name}.yml")
        study = parse_study(text, path=Path(f"{self.name}.yml"), own_training=True)
        return replace(study, path=parent.tags["ablate.path"])

    # -- writing runs --------------------------------------------------------------------------------------------

    def entry(self, run: Run, study: Study) -> Entry:
        """Return what is to be written of a run, in plain values."""
        if self._circumstances is None:
            self._circumstances = entries.circumstances("")
        return entries.entry_of(run, study, self._circumstances)

    def write(self, entry: Entry, *, first: bool = False) -> None:
        """Write what has ended; to repeat it changes nothing, so that a lost answer does no harm.

        Args:
            entry: what to write.
            first: nothing of this attempt has been sent yet, so there is no need to look for it.
        """
        self._ledger.write(entry, first=first)

    def progress(self, entry: Entry) -> None:
        """Write what there is of a running attempt and not written yet; nothing if it has ended."""
        self._ledger.progress(entry)

    @speaking
    def adopt(self, other: Place, name: str | None = None) -> int:
        """Copy what has ended in another folder of records and is not here, and return how many runs that were.

        The other folder may be read-only and is left as it is. A run that has been deleted here stays deleted.

        Args:
            other: the folder.
            name: of the one study to copy; all if not given.
        """
        store = Store(other, copy=True)
        known = _studies(store)
        if name is not None and name not in known:
            raise StoreError(unknown(f"study in {other.root}", name, known))
        names = known if name is None else [name]
        pairs = [(self._ledger if n == self.name else Ledger(self._ledger.store, n), Ledger(store, n)) for n in names]
        return sum(adopt(ours, theirs) for ours, theirs in pairs)

    # -- reading runs --------------------------------------------------------------------------------------------

    @speaking
    def completed(self, identities: Collection[str], *, share: bool) -> dict[str, dict[str, float]]:
        """Return the scores of complete runs that this version of torch made, by the identity of the trial.

        Args:
            identities: of the trials that are asked for.
            share: whether those of other studies count.
        """
        return {identity: row.metrics for identity, row in self._counting(identities, share=share).items()}

    @speaking
    def selected(self, metric: str, *, held_out: bool = True) -> list[Attempt]:
        """Return the attempts of this study that have ended and were made by this version of torch, the earliest first.

        Args:
            metric: whose curve is asked for.
            held_out: whether to return those of the search; else those that were scored on the test part.
        """
        rows = self._own(
            lambda row: row.is_ours and row.state is not RunState.RUNNING and (HELD_OUT in row.tags) is held_out,
            params=True,
        )
        histories = self._rows.histories([row.run_id for row in rows], metric)
        found = []
        for row in rows:
            curves = {name: [value] for name, value in row.metrics.items() if name not in COSTS}
            curves |= {metric: [value for _, value in histories[row.run_id]]}
            known = row.metrics
            cost = Cost(int(known["params"]), int(known["macs"]), known.get("latency_ms")) if "macs" in known else None
            started = row.started / 1000
            ended = started + known.get("seconds", 0.0)
            found.append(
                Attempt(
                    row.params, int(row.params["seed"]), row.identity, row.state, curves, cost, started, ended,
                    fell_behind="ablate.fell-behind" in row.tags,
                )
            )  # fmt: skip
        return found

    @speaking
    def latencies(self, plan: Plan) -> tuple[dict[str, float], dict[str, list[str]]]:
        """Return the latency of settings in milliseconds, and the runs that lack it, both by the setting's label."""
        known: dict[str, float] = {}
        lacking: dict[str, list[str]] = {}
        labels = {setting.label for setting in plan.settings}
        planned = self.plan()
        listed = [*planned["trials"], *planned["selection"]]
        wanted = {identity: label for label, _, identity in listed if label in labels}
        for identity, row in self._counting(wanted, share=planned["share"]).items():
            if "latency_ms" in row.metrics:
                known[wanted[identity]] = row.metrics["latency_ms"]
            else:
                lacking.setdefault(wanted[identity], []).append(row.run_id)
        return known, lacking

    @speaking
    def note_latencies(self, milliseconds: Mapping[str, float], runs: Mapping[str, Iterable[str]]) -> None:
        """Write the latency of settings to their runs, both by the setting's label."""
        now = round(1000 * time.time())
        for label, run_ids in runs.items():
            for run_id in run_ids:
                self._client.log_metric(run_id, "latency_ms", milliseconds[label], now, 0, synchronous=True)

    @speaking
    def networks(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Return what was found in the networks of planned settings, and a run of those not looked at, by label."""
        planned = self.plan()
        labels = {identity: label for label, _, identity in planned["trials"]}
        known: dict[str, dict[str, Any]] = {}
        lacking: dict[str, str] = {}
        for identity, row in self._counting(labels, share=planned["share"], metrics=False).items():
            if NETWORK in row.tags:
                known[labels[identity]] = json.loads(row.tags[NETWORK])
            else:
                lacking.setdefault(labels[identity], row.run_id)
        return known, {label: run_id for label, run_id in lacking.items() if label not in known}

    @speaking
    def note_networks(self, found: Mapping[str, Examination], runs: Mapping[str, str]) -> None:
        """Write what was found in networks to a run of each setting, both by label."""
        for label, run_id in runs.items():
            self._client.set_tag(run_id, NETWORK, json.dumps(asdict(found[label])), synchronous=True)

    @speaking
    def errors(self) -> dict[str, str]:
        """Return the last line of the latest failure by identity."""
        rows = self._own(lambda row: "ablate.error" in row.tags, metrics=False)
        return {row.identity: row.tags["ablate.error"] for row in rows}

    @speaking
    def frame(self, *, selection: bool = False) -> tuple["pd.DataFrame", int]:
        """Return the planned trials' runs, one row each, and how many runs are left out because they are stale.

        A run is stale if what it did is no longer what the study asks for, or another torch made it. Of several
        complete runs of one trial (a deleted run that was restored in MLflow after it had been run again) the first
        counts; their scores are equal. Of other studies' runs those count that stand for a trial with no complete run
        in this one, where the study shares.

        Args:
            selection: the trials of the search, instead of those that confirm what it found.
        """
        planned = self.plan()
        wanted = {identity for _, _, identity in planned["selection" if selection else "trials"]}
        known = {identity for _, _, identity in (*planned["trials"], *planned["selection"])}
        own = self._number()
        rows = self._rows.trials(
            self._searched(share=planned["share"]),
            lambda row: row.experiment == own or (row.identity in wanted and row.counts), metrics=False,
        )  # fmt: skip
        n_stale = sum(not (row.identity in known and row.is_ours) for row in rows)
        ours = [row for row in rows if row.identity in wanted and row.is_ours]
        counting = self._first([row for row in ours if row.counts]).values()
        shown = [*counting, *(row for row in ours if row.state is not RunState.COMPLETE)]
        self._rows.measure(shown)
        return frame_of(planned, shown, selection=selection), n_stale

    @speaking
    def curves(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return the study's metric after each epoch of the complete runs of a frame: setting, seed, epoch, value."""
        run_ids = frame.loc[frame["state"] == RunState.COMPLETE.value, "run_id"]
        return curves_of(frame, self._rows.histories(run_ids.tolist(), self.plan()["metric"]["name"]))

    @speaking
    def provenance(self, frame: "pd.DataFrame") -> dict[str, Any]:
        """Return what the complete runs of a frame stand on; where they differ, all that there is.

        The study's file is that of the last call, and the host's name is left out.
        """
        complete = frame[frame["state"] == RunState.COMPLETE.value]
        found = entries.stood_on(self._rows.values(complete["run_id"].tolist(), entries.CIRCUMSTANCES))
        parent = self._ledger.begun()
        text = self._ledger.get(parent, f"{self.name}.yml")
        run_ids: dict[str, dict[int, str]] = {}
        for label, seed, run_id in zip(complete["setting"], complete["seed"], complete["run_id"], strict=True):
            run_ids.setdefault(label, {})[int(seed)] = run_id
        return {
            "path": parent.tags["ablate.path"], "study_file": text, "study_hash": hashlib.sha256(text.encode()).hexdigest(), **found, "run_ids": run_ids,
        }  # fmt: skip

    @speaking
    def stale(self, study: Study, trials: Iterable[Trial]) -> list[Stale]:
        """Return the complete runs of planned settings and seeds that do not count any more, and why.

        Of several the latest speaks.
        """
        planned = {(trial.setting.label, str(trial.seed)): trial for trial in trials}
        identities = {trial.identity for trial in planned.values()}
        rows = self._own(
            lambda row: row.state is RunState.COMPLETE and not (row.identity in identities and row.is_ours),
            metrics=False,
            params=True,
        )
        latest = {(row.tags["ablate.setting"], row.params.get("seed", "")): row for row in rows}
        return [
            Stale(label, trial.seed, entries.reasons(latest[label, seed], trial, study))
            for (label, seed), trial in planned.items()
            if (label, seed) in latest
        ]

    def _own(self, wanted: Wanted = lambda _: True, *, metrics: bool = True, params: bool = False) -> list[Row]:
        """Return the runs of this study, the earliest first."""
        number = self._number()
        return [] if number is None else self._rows.trials([number], wanted, metrics=metrics, params=params)

    def _counting(self, identities: Collection[str], *, share: bool, metrics: bool = True) -> dict[str, Row]:
        """Return for each trial the run that counts: a complete one, of this study where there is one, the first."""
        wanted = set(identities)
        return self._first(
            self._rows.trials(
                self._searched(share=share), lambda row: row.identity in wanted and row.counts, metrics=metrics
            )
        )

    def _first(self, rows: Iterable[Row]) -> dict[str, Row]:
        """Return for each trial its first run, of this study where there is one, given the earliest first."""
        own = self._number()
        found: dict[str, Row] = {}
        for row in sorted(rows, key=lambda row: row.experiment != own):
            found.setdefault(row.identity, row)
        return found

    def _searched(self, *, share: bool) -> list[str]:
        """Return the numbers of the experiments whose runs may count."""
        own = self._number()
        return list(self._ledger.store.experiments()) if share else [own] if own else []

    def _number(self) -> str | None:
        experiment = self._ledger.experiment
        return None if experiment is None else experiment.number


def studies(place: Place) -> list[str]:
    """Return the names of the studies that have been run here.

    Raises:
        StoreError: if the store cannot be read.
    """
    if place.is_new():
        return []
    with said(place):
        return _studies(Store(place))


def _studies(store: Store) -> list[str]:
    return sorted(name for name in store.experiments().values() if name != "Default")
