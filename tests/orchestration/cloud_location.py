"""What a run on Cloud Run loads: an asset as the warehouse has them, and one that crawls."""

import dagster as dg


@dg.asset(key=["clean", "posts"])
def posts() -> None: ...


@dg.asset(key=["clean", "broken"])
def broken() -> None:
    raise ValueError("as if BigQuery had refused")


@dg.asset(key=["lake", "fourchan"])
def lake() -> None: ...


defs = dg.Definitions(assets=[posts, broken, lake])
