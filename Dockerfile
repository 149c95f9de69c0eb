# The service with its shipped models.  The classic instructions only, so that every builder builds it.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# The serving install, and what signed models need: nobody can install into the image afterwards.
COPY requirements/image.lock requirements/image.lock
RUN python3 -m venv /opt/logitd \
 && /opt/logitd/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
# What only installs, and the tests, headers and sources of others, stay out of the image.
RUN /opt/logitd/bin/pip install --quiet --no-deps --no-build-isolation . \
 && /opt/logitd/bin/pip uninstall --quiet --yes flit_core setuptools pip \
 && find /opt/logitd -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -rf {} + \
 && find /opt/logitd -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \) -delete

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="logitd" \
      org.opencontainers.image.description="Train a logistic regression, with a proof of its optimum, and serve it over HTTP." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /opt/logitd /opt/logitd
COPY model_store /opt/logitd/model_store
# Writable for whichever user id a platform assigns, also where it mounts a fresh directory of the same mode.
RUN install -d -m 1777 -o 10001 -g 10001 /data
# One BLAS thread: requests are small, and a pool of threads would only wait.
ENV PATH=/opt/logitd/bin:$PATH \
    OPENBLAS_NUM_THREADS=1 \
    LOGITD_HOST=0.0.0.0 \
    LOGITD_STORE=/data \
    LOGITD_SEED_STORE=/opt/logitd/model_store
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
# With LOGITD_WORKERS the supervisor is process 1: it hands signals on and buries what it did not start.
STOPSIGNAL SIGTERM
# Isolated (-I): no PYTHON* variable and no file in the directory changes what runs.  LD_PRELOAD is the loader's, before
# any of this: who can set it can as well replace the command.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["/opt/logitd/bin/python3", "-I", "-m", "service", "health"]
ENTRYPOINT ["/opt/logitd/bin/python3", "-I", "-m", "service"]
CMD ["serve"]
