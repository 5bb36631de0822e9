# syntax=docker/dockerfile:1
# The worker's image. Debian, not Alpine: faust-streaming ships no musl wheels and would have to be compiled.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never \
    PIP_CACHE_DIR=/cache/pip UV_CACHE_DIR=/cache/uv VIRTUAL_ENV=/opt/venv
WORKDIR /build
# For the hot loops, which the final image holds compiled; the compiler stays behind.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# uv and the build backend come from a lock with hashes, like everything else: one pin for the image and for `make setup`.
COPY requirements-build.lock ./
RUN --mount=type=cache,target=/cache/pip \
    python -m pip install --quiet --require-hashes -r requirements-build.lock
# The dependencies are a layer of their own: a change of our code does not install them again.
COPY requirements.lock ./
RUN --mount=type=cache,target=/cache/uv \
    python -m venv --without-pip "$VIRTUAL_ENV" \
    && uv pip install --require-hashes -r requirements.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY detectors ./detectors
COPY monitor ./monitor
RUN python -m hatchling build -t wheel -d dist \
    && uv pip install --no-deps --no-index dist/*.whl \
    && cd / && "$VIRTUAL_ENV/bin/python" -m monitor.hot_loops

FROM python:3.11-slim-bookworm
ARG VERSION=unknown
LABEL org.opencontainers.image.title="moderation-monitor" \
      org.opencontainers.image.description="Live precision, drift and launch assurance for content-moderation models, from Kafka to Prometheus." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# A numeric user: Kubernetes checks runAsNonRoot against numbers only.
RUN groupadd --system --gid 10001 monitor \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/moderation-monitor --create-home --shell /usr/sbin/nologin monitor
COPY --from=build /opt/venv /opt/venv
# No settings: the environment would win over a mounted file, which `--config` or MONITOR_CONFIG names. The default of the state directory, var/state, is relative:
# below WORKDIR it is in the volume.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1
WORKDIR /var/lib/moderation-monitor
USER 10001:10001
VOLUME ["/var/lib/moderation-monitor"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive, not ready: a worker that waits for its broker must not be killed for it. It cannot read a mounted file: where that
# sets another port, set MONITOR_HTTP__PORT as well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('MONITOR_HTTP__PORT', '8080')}/healthz\", timeout=4)"]
ENTRYPOINT ["moderation-monitor"]
CMD ["worker"]
