# Three images of one installation: `analyzer` (no torch), `page`, and `trainer`.
FROM python:3.11-slim AS wheel
WORKDIR /src
RUN pip install --no-cache-dir build
COPY pyproject.toml MANIFEST.in README.md ./
COPY build_backend build_backend
COPY shared shared
COPY trainer trainer
COPY analyzer_service analyzer_service
RUN python -m build --wheel --outdir /wheel

FROM python:3.11-slim AS base
# One math thread a process: analyses are the same whatever else runs, and workers share the cores.
# Whoever the containers run as has no home of its own; W&B and matplotlib keep caches in it.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
RUN groupadd --gid 1000 sidelight \
    && useradd --uid 1000 --gid 1000 --no-create-home sidelight \
    && install --directory --owner=1000 --group=1000 /runs /data /keys
COPY constraints.txt /
WORKDIR /runs

FROM base AS analyzer
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir -c /constraints.txt "$(echo /wheel/*.whl)[analyzer,notify,export]"
USER 1000:1000
ENTRYPOINT ["python", "-m", "analyzer_service"]
CMD ["serve"]

FROM base AS page
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir -c /constraints.txt "$(echo /wheel/*.whl)[page]"
USER 1000:1000
ENTRYPOINT ["python", "-m", "analyzer_service"]
CMD ["page", "--bind", "0.0.0.0:8080"]

FROM base AS trainer
# What pip's index gives for this version; pytorch.org names the one of CPU builds.
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=
RUN pip install --no-cache-dir -c /constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir -c /constraints.txt "$(echo /wheel/*.whl)[trainer,wsi]"
USER 1000:1000
ENTRYPOINT ["python", "-m", "trainer"]
