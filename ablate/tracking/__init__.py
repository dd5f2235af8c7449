"""The record: every run is an MLflow run, and MLflow is the only record."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# With a server MLflow prints bars and signs that a Chinese Windows terminal cannot show.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# MLflow waits minutes for an absent server and then doubles what the server had done. We wait and look ourselves.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from ablate.tracking.records import Attempt, Records, Stale, studies  # after MLflow's switches are set

__all__ = ["Attempt", "Records", "Stale", "studies"]
