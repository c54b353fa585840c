# One image for all: code server, web server, daemon, runs on Cloud Run, and every `threadlake` command.
FROM python:3.11-slim-bookworm AS build
COPY requirements.lock /requirements.lock
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.lock \
    && find /venv -name tests -path "*/site-packages/*" -type d -prune -exec rm -rf {} +

# checkov:skip=CKV_DOCKER_2: what is healthy depends on what is run; compose.yaml says it of each
FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /data threadlake && mkdir -p /data/home && chown -R 10001:10001 /data
COPY --from=build /venv /venv
WORKDIR /app
COPY deploy deploy
COPY communities.toml .
COPY dashboard dashboard
COPY dbt_project dbt_project
COPY extractors extractors
COPY orchestration orchestration
RUN install -m 0755 deploy/threadlake /venv/bin/threadlake
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/app/deploy POSTGRES_PORT=5432 THREADLAKE_HOME=/data/home \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false
USER 10001
CMD ["threadlake", "--help"]
