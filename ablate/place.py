"""Where the records of a study are kept."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A folder of records, and the address of another MLflow store or server if there is one.

    What is in the folder knows nothing of where the folder is: it can be moved or copied.
    """

    root: Path
    uri: str | None = None

    @property
    def database(self) -> Path:
        """The file that MLflow keeps unless another store is named."""
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The folder of the files that belong to runs."""
        return self.beside / "artifacts"

    @property
    def beside(self) -> Path:
        """The folder of what belongs to the store and is not in it: where its file is, if it is one."""
        prefix = "sqlite:///"
        uri = self.uri or ""
        return Path(uri.removeprefix(prefix)).parent if uri.startswith(prefix) else self.root

    def folder_of(self, study: str) -> Path:
        """Return the folder of a study's lease, checkpoints and spool."""
        return self.beside / study

    @property
    def address(self) -> str:
        """The store as MLflow writes it."""
        return self.uri or f"sqlite:///{self.database.resolve().as_posix()}"

    @property
    def by_server(self) -> bool:
        """Tell whether a server keeps the files."""
        return self.address.startswith(("http:", "https:", "databricks"))

    def is_new(self) -> bool:
        """Tell whether nothing can have been recorded here yet, without importing or opening anything."""
        return self.uri is None and not self.database.exists()

    def server_command(self, port: int) -> list[str]:
        """Return the command that shows the store in a browser."""
        backend = ["--backend-store-uri", self.address, "--artifacts-destination", self.artifacts.resolve().as_uri()]
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [sys.executable, "-m", "mlflow", "ui", *backend, *where]
