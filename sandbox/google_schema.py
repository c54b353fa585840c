"""Makes `google_schema.json` anew: the schema of Terraform's google provider, as far as `terraform/` uses it.

The provider itself is in no package registry, but its schema is, compiled into cdktn-provider-google (MPL-2.0): one
JavaScript module a type, whose lists of attributes say name, type and whether it is a block, and whose TypeScript
declarations say what is required. What that loses: limits above
one of a block, types nested inside computed attributes.

    make terraform-schema
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT

SCHEMA = Path(__file__).with_name("google_schema.json")
TERRAFORM = PROJECT / "terraform"
SOURCE = "registry.terraform.io/hashicorp/google"

USED = re.compile(r'^(resource|data) "(google_\w+)"', re.M)
ENTRY = re.compile(
    r'^\s+(\w+): \{\s*value: .*?,\s*isBlock: (true|false),\s*type: "(\w+)",\s*storageClassType: "(\w+)",\s*\},',
    re.M | re.S,
)
INTERFACE = re.compile(r"^export interface (\w+)(?: extends [\w.]+)? \{(.*?)^\}", re.M | re.S)
PROPERTY = re.compile(r"^\s+readonly (\w+)(\?)?: (.*?);\n", re.M | re.S)
GETTER = re.compile(r"this\.get(\w+?)Attribute\('(\w+)'\)")
COMPUTED = re.compile(r'^\s+_\w+ = new (?:cdktn\.)?(\w+)\(this, "(\w+)"', re.M)
MAIN = re.compile(r"^class (\w+) extends cdktn\.Terraform(Resource|DataSource|Provider) \{", re.M)
NAME = re.compile(r'static tfResourceType = "(\w+)"')
SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
GOTTEN = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
    "NumberMap": ["map", "number"],
}

Block = dict[str, Any]


class Module:
    """The JavaScript of a type, and its declarations: per interface and property, whether required, and the type."""

    def __init__(self, code: str, declarations: str) -> None:
        self.code = code
        self.interfaces = {
            name: {prop: (not optional, kind) for prop, optional, kind in PROPERTY.findall(_without_comments(body))}
            for name, body in INTERFACE.findall(declarations)
        }

    def type(self) -> tuple[str, str, Block] | None:
        """Resource, DataSource or Provider; its name; its block. None for a module that has none."""
        found, name = MAIN.search(self.code), NAME.search(self.code)
        if not found or not name:
            return None
        block = self._block(self._entries("synthesizeHclAttributes()", found.start()), f"{found[1]}Config")
        known = block["attributes"].keys() | block["block_types"].keys()
        computed: Block = {
            name: GOTTEN[kind] for kind, name in GETTER.findall(self.code, found.start()) if kind in GOTTEN
        }
        for kind, attribute in COMPUTED.findall(self.code, found.start()):
            computed.setdefault(attribute, GOTTEN.get(kind, "dynamic"))
        for attribute in sorted(computed.keys() - known):
            block["attributes"][attribute] = {"type": computed[attribute], "computed": True}
        return found[2], name[1], block

    def _entries(self, marker: str, start: int = 0) -> list[tuple[str, ...]]:
        begin = self.code.index(marker, start)
        attributes = self.code.find("const attrs = {", begin, self.code.find("\n}\n", begin))
        if attributes < 0 or self.code.startswith("const attrs = {}", attributes):
            return []
        return ENTRY.findall(self.code, attributes, self.code.index("// remove undefined attributes", attributes))

    def _block(self, entries: list[tuple[str, ...]], interface: str) -> Block:
        properties = {name.lower(): value for name, value in self.interfaces.get(interface, {}).items()}
        block: Block = {"attributes": {}, "block_types": {}}
        for name, is_block, kind, stored in entries:
            required, declared = properties.get(name.replace("_", "").lower(), (False, ""))
            if is_block == "false":
                necessity = "required" if required else "optional"
                block["attributes"][name] = {"type": _type(kind, stored), necessity: True}
            else:
                block["block_types"][name] = self._nested(name, kind, stored, required, "[]" in declared)
        return block

    def _nested(self, name: str, kind: str, stored: str, required: bool, many: bool) -> Block:
        bare = re.sub(r"(List|Map)$", "", stored)
        interface = bare if bare in self.interfaces else stored
        function = f"function {interface[0].lower()}{interface[1:]}ToHclTerraform("
        inner = self._block(self._entries(function) if function in self.code else [], interface)
        if kind == "struct" and name == "timeouts":
            return {"nesting_mode": "single", "block": inner}
        limits = ({"min_items": 1} if required else {}) | ({} if many else {"max_items": 1})
        return {"nesting_mode": "set" if kind == "set" else "list", "block": inner, **limits}


def _without_comments(code: str) -> str:
    return re.sub(r"/\*\*.*?\*/", "", code, flags=re.S)


def _type(kind: str, stored: str) -> Any:
    if kind == "simple":
        return SIMPLE.get(stored, "dynamic")
    base = re.match(r"(string|number|boolean|any)(List|Map)", stored)
    return [kind, SIMPLE.get(base[1], "dynamic")] if base and kind in ("list", "set", "map") else "dynamic"


def modules(wheel: zipfile.ZipFile) -> Iterator[Module]:
    """The provider's modules, one after another."""
    archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    parts: dict[str, dict[str, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(wheel.read(archive)), mode="r:gz") as files:
        for file in files:
            place = file.name.split("/")
            if len(place) > 3 and place[1] == "lib" and file.name.endswith((".js", ".d.ts")):
                text = (files.extractfile(file) or io.BytesIO()).read().decode()
                kind = "declarations" if file.name.endswith(".d.ts") else "code"
                part = parts.setdefault(place[2], {"code": "", "declarations": ""})
                part[kind] += text.split("//# sourceMappingURL")[0] + "\n"
    for part in parts.values():
        yield Module(**part)


def used_types() -> dict[str, set[str]]:
    """The types that `terraform/` uses: of resources, of data sources."""
    found = [pair for file in TERRAFORM.glob("*.tf") for pair in USED.findall(file.read_text())]
    return {kind: {name for what, name in found if what == kind} for kind in ("resource", "data")}


def extract(path: Path, used: Mapping[str, set[str]]) -> dict[str, Any]:
    """The document as `terraform providers schema -json` prints it, of these types. Raises LookupError for what the
    provider does not have."""
    schemas: dict[str, Any] = {"provider": None, "resource_schemas": {}, "data_source_schemas": {}}
    with zipfile.ZipFile(path) as wheel:
        about = wheel.read(next(name for name in wheel.namelist() if name.endswith("dist-info/METADATA"))).decode()
        version = re.search(r"hashicorp/google provider version ([\d.]+)", about)
        for module in modules(wheel):
            if not any(name in module.code for name in {"TerraformProvider", *used["resource"], *used["data"]}):
                continue
            found = module.type()
            if found is None:
                continue
            kind, name, block = found
            if kind == "Provider":
                schemas["provider"] = {"version": 0, "block": block}
            elif name in used["resource" if kind == "Resource" else "data"]:
                place = "resource_schemas" if kind == "Resource" else "data_source_schemas"
                schemas[place][name] = {"version": 0, "block": block}
    for kind, place in (("resource", "resource_schemas"), ("data", "data_source_schemas")):
        if missing := used[kind] - schemas[place].keys():
            raise LookupError(f"The provider has no {kind} {', '.join(sorted(missing))}.")
    if version is None or schemas["provider"] is None:
        raise LookupError(f"{path} is not a wheel of cdktn-provider-google.")
    return {"format_version": "1.0", "provider_version": version[1], "provider_schemas": {SOURCE: schemas}}


if __name__ == "__main__":
    document = extract(Path(sys.argv[1]), used_types())
    SCHEMA.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"google {document['provider_version']}: {SCHEMA.stat().st_size // 1024} KB in {SCHEMA}")
