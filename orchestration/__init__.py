"""Dagster, the warehouse's loader and the command line. It may import `extractors`; nothing imports it."""
