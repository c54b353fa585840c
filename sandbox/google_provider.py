"""Terraform's google provider without Google: a plugin that serves the real schema and talks to nobody.

Terraform itself checks names, types, what is required and how often a block may stand. A plan echoes the configuration
and leaves unknown what is computed; an apply invents it. What only the provider's code checks, such as the words that
an attribute allows, is not seen here. Runs in `.venv-terraform`, started by Terraform; see `sandbox.terraform`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import tf.provider
from tf import iface, runner
from tf.gen import tfplugin_pb2 as pb

SCHEMA = Path(__file__).with_name("google_schema.json")
NESTING = {"single": pb.Schema.NestedBlock.SINGLE, "list": pb.Schema.NestedBlock.LIST, "set": pb.Schema.NestedBlock.SET}
UNKNOWN = msgpack.ExtType(0, b"")

(PROVIDER,) = json.loads(SCHEMA.read_text())["provider_schemas"].values()
RESOURCES: dict[str, Any] = PROVIDER["resource_schemas"]
SOURCES: dict[str, Any] = PROVIDER["data_source_schemas"]


def schema(described: dict[str, Any]) -> Any:
    return pb.Schema(version=0, block=_block(described["block"], root=True))


def _block(block: dict[str, Any], root: bool = False) -> Any:
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(a["type"]).encode(),
            required=a.get("required", False),
            optional=a.get("optional", False),
            computed=_computed(name, a) if root else a.get("computed", False),
        )
        for name, a in sorted(block["attributes"].items())
    ]
    blocks = [
        pb.Schema.NestedBlock(
            type_name=name,
            block=_block(b["block"]),
            nesting=NESTING[b["nesting_mode"]],
            min_items=b.get("min_items", 0),
            max_items=b.get("max_items", 0),
        )
        for name, b in sorted(block["block_types"].items())
    ]
    return pb.Schema.Block(version=0, attributes=attributes, block_types=blocks)


def _computed(name: str, attribute: dict[str, Any]) -> bool:
    return bool(attribute.get("computed")) or (name == "id" and not attribute.get("required"))


def _unpack(value: Any) -> Any:
    if not value.msgpack:
        return json.loads(value.json) if value.json else None
    return msgpack.unpackb(value.msgpack, raw=False, ext_hook=msgpack.ExtType, strict_map_key=False)


def _pack(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value, use_bin_type=False))


def _fill(value: dict[str, Any], block: dict[str, Any], make: Callable[[str, Any], Any]) -> dict[str, Any]:
    """`value` with what nobody has set and the provider computes."""
    for name, attribute in block["attributes"].items():
        if _computed(name, attribute) and value.get(name) is None:
            value[name] = make(name, attribute["type"])
    return value


def _invented(name: str, kind: Any) -> Any:
    if isinstance(kind, str):
        return {"number": 0, "bool": False, "dynamic": None}.get(kind, f"mock-{name}")
    return [] if kind[0] in ("list", "set") else {}


class Servicer(tf.provider.ProviderServicer):  # type: ignore[misc]
    """Protocol 6, as far as init, validate, plan, test and apply ask for it."""

    def __init__(self) -> None:
        pass

    def GetMetadata(self, request: Any, context: Any) -> Any:
        return pb.GetMetadata.Response(
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=False),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in RESOURCES],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in SOURCES],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return pb.GetProviderSchema.Response(
            provider=schema(PROVIDER["provider"]),
            resource_schemas={name: schema(one) for name, one in RESOURCES.items()},
            data_source_schemas={name: schema(one) for name, one in SOURCES.items()},
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        return pb.UpgradeResourceState.Response(upgraded_state=_pack(json.loads(request.raw_state.json)))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        new = _unpack(request.proposed_new_state)
        if new is None:
            return pb.PlanResourceChange.Response(planned_state=request.proposed_new_state)
        planned = _fill(new, RESOURCES[request.type_name]["block"], lambda name, kind: UNKNOWN)
        return pb.PlanResourceChange.Response(planned_state=_pack(planned))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        new = _unpack(request.planned_state)
        if new is None:
            return pb.ApplyResourceChange.Response(new_state=request.planned_state)
        for name, attribute in RESOURCES[request.type_name]["block"]["attributes"].items():
            if isinstance(new.get(name), msgpack.ExtType):
                new[name] = _invented(name, attribute["type"])
        return pb.ApplyResourceChange.Response(new_state=_pack(new))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        block = SOURCES[request.type_name]["block"]
        return pb.ReadDataSource.Response(state=_pack(_fill(_unpack(request.config), block, _invented)))

    def GetFunctions(self, request: Any, context: Any) -> Any:
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()


class Google(iface.Provider):  # type: ignore[misc]
    """What the framework asks of a provider; the servicer above answers instead of it."""

    def full_name(self) -> str:
        return "registry.terraform.io/hashicorp/google"

    def get_model_prefix(self) -> str:
        return "google_"

    def get_provider_schema(self, diagnostics: Any) -> None: ...

    def validate_config(self, diagnostics: Any, config: Any) -> None: ...

    def configure_provider(self, diagnostics: Any, config: Any) -> None: ...

    def get_resources(self) -> list[Any]:
        return []

    def get_data_sources(self) -> list[Any]:
        return []


if __name__ == "__main__":
    tf.provider.ProviderServicer = lambda provider: Servicer()  # the framework starts whatever stands here
    runner.run_provider(Google(), sys.argv)
