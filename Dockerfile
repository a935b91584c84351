# JupyterLab with the Go kernel, and soclab itself, for the notebooks and the
# workers. The repository is not in the image, it is mounted at /soclab: the image
# has what the repository needs, downloaded and built ahead, so that it asks
# nothing of the network when it runs.

FROM golang:1.26-alpine AS go
RUN cd /usr/local/go && rm -rf api doc misc test \
 && find src -type f \( -path '*/testdata/*' -o -name '*_test.go' \) -exec rm {} +

FROM python:3.13-slim-bookworm AS base
COPY --from=go /usr/local/go /usr/local/go
ENV GOPATH=/go GOCACHE=/go/cache GOTOOLCHAIN=local CGO_ENABLED=0 \
    GOFLAGS="-buildvcs=false -modcacherw" \
    SOCLAB_HOME=/opt/soclab \
    PATH=/opt/soclab/jupyter/bin:/opt/soclab/jupyter/python/bin:/usr/local/go/bin:$PATH
WORKDIR /soclab

# The environment that `soclab up` makes, by the same code and pins. That code is
# all of the sources that this layer sees, so only a pin changes it.
FROM base AS environment
COPY go.mod go.sum ./
RUN --mount=type=bind,source=internal/jupyter,target=/soclab/internal/jupyter \
    --mount=type=bind,source=internal/folder,target=/soclab/internal/folder \
    --mount=type=bind,source=internal/image,target=/soclab/cmd/soclab \
    mkdir -p pkg && go run ./cmd/soclab && chmod -R a+rwX "$SOCLAB_HOME"

FROM base AS modules
COPY go.mod go.sum ./
RUN umask 0 && go mod download \
 && find /go/pkg/mod -type f \( -name '*.zip' -o -path '*/testdata/*' -o -name '*_test.go' \) -delete

# The packages of other modules that the lab imports: a list that stays the same
# as long as no import is added, and with it the layer that is built from it.
FROM modules AS imports
COPY . .
RUN go list -deps -f '{{with .Module}}{{if not .Main}}{{$.ImportPath}}{{end}}{{end}}' ./cmd/... ./pkg/... >/imports

FROM modules
RUN useradd --uid 1000 lab && install -d -m 1777 /home/lab /opt/soclab
COPY --from=environment /opt/soclab /opt/soclab
COPY --from=imports /imports /opt/soclab/imports
RUN umask 0 && go build $(cat /opt/soclab/imports)
RUN --mount=type=bind,target=/soclab \
    umask 0 && go build ./... && go build -o /opt/soclab/jupyter/bin/ ./cmd/soclab
COPY --chmod=755 internal/image/entrypoint.sh /usr/local/bin/entrypoint
ENV HOME=/home/lab USER=lab
USER 1000:1000
EXPOSE 8888
ENTRYPOINT ["entrypoint"]
CMD ["up", "--host", "0.0.0.0", "--browser=false"]
