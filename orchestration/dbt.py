"""dbt inside the process that asks for it: a manifest prepared ahead, and one invocation a run.

In process because a killed run then leaves no dbt behind that holds the warehouse, and because a dbt of its own costs
its imports once more. The manifest is made when the project's files change: with it an invocation starts in 0.3 s,
while dbt would parse everything anew whenever its variables differ, which the hours do in every run.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from extractors.lake import HOUR_FORMAT
from orchestration.settings import Settings
from orchestration.warehouse import Warehouse

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

log = logging.getLogger(__name__)
VERSION = "1"  # of what `prepare` makes
DAILY = "tag:daily"  # tests that read whole tables


class DbtError(Exception):
    """dbt failed; the message says which nodes and why."""


@dataclass(frozen=True)
class Node:
    """What became of one model, test or operation."""

    unique_id: str
    status: str
    message: str
    seconds: float
    failures: int | None

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2]

    @property
    def passed(self) -> bool:
        return self.status in ("success", "pass", "warn", "no-op", "partial success")


@dataclass(frozen=True)
class Dbt:
    """The dbt project, where it writes, and the warehouse it works on."""

    settings: Settings
    warehouse: Warehouse

    @property
    def manifest(self) -> Path:
        return self.settings.dbt_target / "manifest.json"

    def prepare(self) -> bool:
        """Parse the project if its files changed since the last time; return whether they had. Raises DbtError."""
        stamp = self.settings.dbt_target / "prepared"
        self.settings.dbt_target.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{stamp}.lock"):
            fingerprint = self._fingerprint()
            if self.manifest.exists() and stamp.exists() and stamp.read_text() == fingerprint:
                return False
            stamp.unlink(missing_ok=True)
            self._invoke(["parse"], self.settings.dbt_target, None)
            stamp.write_text(fingerprint)
            return True

    def build(
        self,
        hours: Iterable[datetime],
        now: datetime,
        select: Sequence[str] = (),
        run_id: str = "cli",
        variables: Mapping[str, Any] | None = None,
        command: str = "build",
    ) -> list[Node]:
        """Merge these hours: one invocation over the models `select` names, or all, and their tests; those that read
        whole tables only where the variables say `whole`.

        The caller has checked what it returns: a failed node does not raise, a dbt that could not begin does.
        """
        values = {
            "hours": [f"{hour:{HOUR_FORMAT}}" for hour in sorted(set(hours))],
            "now": now.isoformat(),
            "time_zone": self.settings.time_zone,
        }
        arguments = [command, "--no-write-json", "--vars", json.dumps(values | dict(variables or {}))]
        if command == "build":
            arguments += ["--exclude-resource-type", "unit_test"]
            if not (variables or {}).get("whole"):
                arguments += ["--exclude", DAILY]
        if select:
            arguments += ["--select", *select]
        with self.warehouse.alone():
            return self._invoke(arguments, self.settings.dbt_target / "runs" / run_id[:8], self._parsed())

    def docs(self) -> Path:
        """Write what is known of every table and column, and where it comes from, as one page; return its place."""
        target = self.settings.dbt_target / "docs"
        with self.warehouse.alone():
            self._invoke(["docs", "generate", "--static"], target, self._parsed())
        return target / "static_index.html"

    def _parsed(self) -> "Manifest":
        from dbt.contracts.graph.manifest import Manifest
        from dbt.parser.manifest import extended_mashumuro_decoder

        packed = (self.settings.dbt_target / "partial_parse.msgpack").read_bytes()
        manifest: Manifest = Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
        manifest.build_flat_graph()  # type: ignore[no-untyped-call]
        return manifest

    def _invoke(self, arguments: list[str], target: Path, manifest: "Manifest | None") -> list[Node]:
        from dbt.adapters.factory import cleanup_connections, reset_adapters
        from dbt.cli.main import dbtRunner

        project = str(self.settings.dbt_project)
        # the profile reads them; they go again, because children of this process must not inherit them
        told = {**self.warehouse.environment, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        before = {name: os.environ.get(name) for name in told}
        os.environ.update(told)
        places = ["--project-dir", project, "--profiles-dir", project, "--target", self.warehouse.target]
        places += ["--target-path", str(target), "--log-path", str(self.settings.home / "logs")]
        errors: list[str] = []
        runner = dbtRunner(manifest, callbacks=[lambda event: _relay(event, errors)])
        try:
            # the callback hears what goes wrong; writing all events down took a tenth of an hour's merge (2026-11)
            done = runner.invoke(["--log-level", "none", "--no-use-colors", *arguments, *places])
        finally:
            cleanup_connections()  # type: ignore[no-untyped-call]
            self.warehouse.let_go()
            reset_adapters()  # type: ignore[no-untyped-call]
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        results = getattr(done.result, "results", None)
        if done.exception or (results is None and not done.success):
            problem = done.exception or "; ".join(errors) or "no reason given"
            raise DbtError(f"dbt {arguments[0]} failed in {project}: {problem}")
        return [
            Node(r.node.unique_id, str(r.status), r.message or "", r.execution_time, r.failures) for r in results or []
        ]

    def _fingerprint(self) -> str:
        from dbt.version import __version__

        serves = f"{VERSION} {__version__} {self.warehouse.target} {self.warehouse.catalog} {self.settings.dbt_project}"
        digest = blake2b(serves.encode())
        if not (self.settings.dbt_project / "dbt_project.yml").exists():
            raise DbtError(f"There is no dbt project in {self.settings.dbt_project}: set THREADLAKE_DBT to its folder.")
        for path in sorted(self.settings.dbt_project.rglob("*")):
            if path.suffix in (".sql", ".yml", ".yaml", ".csv", ".md") and not {"target", "logs"} & set(path.parts):
                digest.update(f"{path}\0".encode() + path.read_bytes())
        return digest.hexdigest()


def failed(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that did not pass, those skipped because of them included."""
    return [node for node in nodes if not node.passed]


def explain(nodes: Sequence[Node]) -> str:
    """One sentence a failed node, the skipped only counted."""
    told = [f"{node.name}: {node.message or node.status}" for node in nodes if node.status != "skipped"]
    skipped = len(nodes) - len(told)
    return "; ".join(told) + (f"; {skipped} skipped because of that" if skipped else "")


def _relay(event: Any, errors: list[str]) -> None:
    if event.info.level in ("error", "critical"):
        errors.append(event.info.msg.strip())
        log.error("dbt: %s", event.info.msg.strip())
