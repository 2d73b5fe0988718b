# The exporter, and nothing else: no compiler, no index, no root.
#
#   docker build -t vats-exporter .
#   docker run --rm -p 127.0.0.1:9742:9742 vats-exporter demo --host 0.0.0.0
#   docker run -v ./config:/etc/vats-exporter:ro -p 127.0.0.1:9742:9742 vats-exporter

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements ./requirements
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt
# The locked requirements, checked against their hashes, then the project itself on top.
RUN python -m venv /app \
 && /app/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY vats_exporter ./vats_exporter
RUN /venv/bin/python -m hatchling build -t wheel -d /wheel \
 && /app/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
 && /app/bin/pip uninstall --yes pip

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="vats-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the MTS virtual PBX" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
# Any answer counts as life below: with TLS or passwords, plain HTTP is told so, and that is one.
# A number, so that Kubernetes can see that it is not root; the folders for configuration and history.
RUN install -d -o 65532 -g 65532 /var/lib/vats-exporter && install -d /etc/vats-exporter
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/vats-exporter
VOLUME /var/lib/vats-exporter
EXPOSE 9742
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9742, timeout=4); c.request('GET', '/-/healthy'); c.getresponse()"]
ENTRYPOINT ["vats-exporter"]
CMD ["serve", "--config.file=/etc/vats-exporter/vats-exporter.yml"]
