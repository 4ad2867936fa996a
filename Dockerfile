# One image a tier: docker build --build-arg SERVICE=root (or cluster). See run-a-cluster/README.md.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${PYTHON_IMAGE}

FROM ${BUILD_IMAGE} AS build
ARG SERVICE
ARG EXTRAS=
WORKDIR /src
# What we depend on is a layer of its own: a change of ours does not install it anew.
COPY pyproject.toml run-a-cluster/requirements.py ./
RUN set -e; \
    python3 -m venv /opt/pip; \
    python3 -m venv --without-pip /opt/hedgerow; \
    python3 requirements.py pyproject.toml "${SERVICE}" ${EXTRAS} >/tmp/requirements; \
    /opt/pip/bin/pip --python /opt/hedgerow/bin/python install --no-cache-dir -q -r /tmp/requirements
COPY LICENSE README.md ./
COPY edge_common edge_common
COPY root_orchestrator root_orchestrator
COPY cluster_orchestrator cluster_orchestrator
COPY node_engine node_engine
COPY net_manager net_manager
COPY hedgerow hedgerow
RUN /opt/pip/bin/pip --python /opt/hedgerow/bin/python install --no-cache-dir -q --no-deps .

FROM ${PYTHON_IMAGE}
ARG SERVICE
RUN set -e; \
    groupadd --gid 10001 hedgerow; \
    useradd --uid 10001 --gid hedgerow --no-create-home --home-dir /var/lib/hedgerow --shell /usr/sbin/nologin hedgerow; \
    install -d -o hedgerow -g hedgerow -m 700 /var/lib/hedgerow
COPY --from=build /opt/hedgerow /opt/hedgerow
ENV PATH=/opt/hedgerow/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SERVICE=${SERVICE}
USER 10001:10001
WORKDIR /var/lib/hedgerow
ENTRYPOINT ["python", "-m"]
CMD ["none"]
