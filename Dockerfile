# The exporter, Python and the libraries they load, and nothing else: no shell, no compiler, no index, no root.
#
#   docker build -t vats-exporter .
#   docker run --rm -p 127.0.0.1:9742:9742 vats-exporter demo --host 0.0.0.0
#   docker run -v ./config:/etc/vats-exporter:ro -p 127.0.0.1:9742:9742 vats-exporter

# Any image of Debian's family with Python 3.10 or later will do, one of your own registry too.
ARG PYTHON=python:3.13.14-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements ./requirements
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt
# The locked requirements, checked against their hashes, then the project itself on top.
RUN python3 -m venv /app \
 && /app/bin/pip install --no-cache-dir --no-compile --require-hashes --no-deps -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY vats_exporter ./vats_exporter
RUN /venv/bin/python -m hatchling build -t wheel -d /wheel \
 && /app/bin/pip install --no-cache-dir --no-compile --no-deps --no-index /wheel/*.whl
COPY deploy/image/rootfs.py ./
RUN python3 rootfs.py /app /rootfs

FROM scratch
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="vats-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the MTS virtual PBX" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://github.com/vats-exporter/vats-exporter" \
      org.opencontainers.image.source="https://github.com/vats-exporter/vats-exporter" \
      org.opencontainers.image.documentation="https://github.com/vats-exporter/vats-exporter/blob/main/README.md" \
      org.opencontainers.image.vendor="vats-exporter maintainers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /rootfs /
ENV PATH=/app/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /var/lib/vats-exporter
VOLUME /var/lib/vats-exporter
EXPOSE 9742
# Any answer counts as life: with TLS or passwords, plain HTTP is told so, and that is one.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9742, timeout=4); c.request('GET', '/-/healthy'); c.getresponse()"]
ENTRYPOINT ["vats-exporter"]
CMD ["serve", "--config.file=/etc/vats-exporter/vats-exporter.yml"]
