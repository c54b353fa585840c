"""Google's own analyser of SQL, as a process: what would BigQuery say of these statements, over these tables?

It runs in `.venv-bigquery`, as `bigquery_server.py` does. From standard input it takes a JSON object with `tables`, a
list of columns (name and type) by `project.dataset.table`, temporary ones too, and `scripts`. It prints a JSON list of
complaints, each a script's number, a statement, and why.
"""

import json
import re
import sys
from contextlib import suppress
from typing import Any

import wasmtime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]


class _Cached(wasmtime.Config):  # type: ignore[misc]
    """Compiled once a machine, not once a process: 1 s instead of 12."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = True


wasmtime.Config = _Cached
import zetasql.core.wasm_client  # noqa: E402

zetasql.core.wasm_client.Config = _Cached
from zetasql.api import CatalogBuilder, TableBuilder, TypeFactory  # noqa: E402
from zetasql.core.local_service import ZetaSqlLocalService  # noqa: E402
from zetasql.types import (  # noqa: E402
    AnalyzerOptions,
    LanguageOptions,
    ProductMode,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

KINDS = {
    "STRING": "STRING", "INTEGER": "INT64", "INT64": "INT64", "FLOAT": "DOUBLE", "FLOAT64": "DOUBLE", "BOOLEAN": "BOOL",
    "BOOL": "BOOL", "TIMESTAMP": "TIMESTAMP", "DATE": "DATE", "NUMERIC": "NUMERIC", "JSON": "JSON", "BYTES": "BYTES",
}  # fmt: skip
PATH = re.compile(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`")
SHORT = re.compile(r"(?<![\w`.'])(raw|staging|clean|marts)\.(\w+)")
SEARCH = re.compile(r"\bsearch\((\([^()]*\)|\w+), (@\w+)\)")
"""It does not know this one: what is looked through and for is checked, as a comparison."""
PASSED = re.compile(r"(?i)^\s*(begin|commit|rollback)\s+transaction|^\s*(drop|alter)\s|^\s*create\s+schema")
"""What only names tables."""


class Analyser:
    """Over some tables, which it is told once: to tell it with each statement would take ten times as long."""

    def __init__(self, tables: dict[str, list[list[str]]]) -> None:
        language = LanguageOptions.maximum_features()
        language.product_mode = ProductMode.PRODUCT_EXTERNAL
        catalogue = CatalogBuilder("catalogue")
        for name, columns in tables.items():
            # `dataset.table` stands for the project's own
            for known in {name, name.partition(".")[2] if name.count(".") == 2 else name}:
                table = TableBuilder(known)
                for column, kind in columns:
                    table = table.add_column(column, _type(kind))
                catalogue = catalogue.add_table(table.build())
        functions = ZetaSQLBuiltinFunctionOptions(language_options=language)
        self._options = AnalyzerOptions(language_options=language, allow_undeclared_parameters=True)
        self._service = ZetaSqlLocalService.get_instance()
        made = catalogue.with_builtin_functions(functions).build()
        self._catalogue = self._service.register_catalog(simple_catalog=made).registered_id

    def analyse(self, statement: str) -> None:
        """Raises with what is wrong with it."""
        # of what passed it sends the parsed statement, which may be deeper than Python's protobuf reads
        with suppress(DecodeError):
            self._service.analyze(
                sql_statement=SHORT.sub(
                    r"`\1.\2`", PATH.sub(r"`\1.\2.\3`", SEARCH.sub(r"(to_json_string(\1) = \2)", statement))
                ),
                options=self._options,
                registered_catalog_id=self._catalogue,
            )


def _type(kind: str) -> Any:
    inner = re.fullmatch("ARRAY<(.*)>", kind)
    simple = TypeFactory.create_simple_type(getattr(TypeKind, f"TYPE_{KINDS[inner[1] if inner else kind]}"))
    return TypeFactory.create_array_type(simple) if inner else simple


def statements(script: str) -> list[str]:
    """Its statements: those of this project end at a semicolon that ends a line."""
    return [
        part for part in re.split(r";\s*(?:\n|$)", script) if re.sub(r"/\*.*?\*/", "", part, flags=re.DOTALL).strip()
    ]


def main() -> None:
    asked = json.load(sys.stdin)
    google = Analyser(asked["tables"])
    complaints = []
    for number, script in enumerate(asked["scripts"]):
        for statement in statements(script):
            if PASSED.match(statement):
                continue
            try:
                google.analyse(statement)
            except Exception as problem:
                complaints.append([number, statement, str(problem)])
    json.dump(complaints, sys.stdout)


if __name__ == "__main__":
    main()
