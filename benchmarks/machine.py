"""What a figure was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "mlflow", "optuna", "joblib", "numpy", "pandas", "scipy", "statsmodels", "sqlalchemy")


def describe() -> dict[str, str]:
    """Return the machine, its system, and the versions of Python and of the libraries that matter."""
    return {
        "machine": f"{os.cpu_count()} cores {_processor()} ({platform.machine()}), {_memory_gib():.0f} GiB",
        "load before": ", ".join(f"{load:.1f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else "?",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def show(facts: dict[str, str]) -> None:
    """Print what `describe` found."""
    for name, fact in facts.items():
        print(f"{name:12s} {fact}")
    print(flush=True)


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Return how much memory a process holds (VmRSS) or has held at most (VmHWM); NaN where /proc does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":")), float("nan"))


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _memory_gib() -> float:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return float("nan")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
