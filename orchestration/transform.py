"""The dbt project as assets: its models and tests, run by one dbt invocation a run, however many hours."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import orjson
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from orchestration.assets import WAREHOUSE_POOL, Hours, hours_of, merged_at_once, show
from orchestration.dbt import DAILY, Node, explain, failed
from orchestration.pipeline import Pipeline


class Translator(DagsterDbtTranslator):
    """A model is `<layer>/<name>`, where the layer is its folder; a source is the raw table of its name."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return dg.AssetKey([_layer(dbt_resource_props), dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return _layer(dbt_resource_props)


def _layer(props: Mapping[str, Any]) -> str:
    return "raw" if props["resource_type"] == "source" else str(props["fqn"][1])


def transform_assets(pipeline: Pipeline, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """All dbt models, hourly partitioned; the manifest is made here if the project changed since the last time."""
    pipeline.dbt.prepare()
    manifest = orjson.loads(pipeline.dbt.manifest.read_bytes())
    translator = Translator()
    models = {
        unique_id: translator.get_asset_key(node)
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed")
    }

    @dbt_assets(
        manifest=manifest,
        exclude=DAILY,  # the daily upkeep runs them
        name="dbt",
        dagster_dbt_translator=translator,
        partitions_def=partitions,
        backfill_policy=merged_at_once(pipeline),
        pool=WAREHOUSE_POOL,
    )
    def transform(context: dg.AssetExecutionContext, config: Hours) -> Iterator[Any]:
        began = time.monotonic()
        hours = hours_of(context, config)
        chosen = context.selected_asset_keys
        subset = chosen != set(models.values())
        names = [f"fqn:{'.'.join(manifest['nodes'][i]['fqn'])}" for i in models if models[i] in chosen]
        nodes = pipeline.dbt.build(hours, pipeline.settings.now(), names if subset else (), context.run.run_id)
        context.log.info("dbt built %d nodes for %d hours in %.1f s", len(nodes), len(hours), time.monotonic() - began)
        for node in nodes:
            if node.unique_id in models and node.passed:
                key = models[node.unique_id]
                seconds = {"seconds": round(node.seconds, 3)}
                show(context, key, {hour: {} for hour in hours})
                yield dg.MaterializeResult(asset_key=key, metadata=seconds)
        for node in nodes:
            check = get_asset_check_key_for_test(manifest, translator, node.unique_id, None)
            if check and check in context.selected_asset_check_keys and node.status != "skipped":
                yield _verdict(check, node)
        if broken := failed(nodes):
            raise dg.Failure(explain(broken))  # and readers keep what they had: it is whole
        if published := pipeline.publish():
            context.log.info("Published %s", published)

    return transform


def _verdict(check: dg.AssetCheckKey, node: Node) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=node.status == "pass",
        check_name=check.name,
        asset_key=check.asset_key,
        severity=dg.AssetCheckSeverity.WARN if node.status == "warn" else dg.AssetCheckSeverity.ERROR,
        description=node.message or None,
        metadata={"failing_rows": node.failures or 0, "seconds": round(node.seconds, 3)},
    )
