ARG BUNDLE
FROM ${BUNDLE} AS bundle

FROM scratch
COPY --from=bundle /usr/local/go /usr/local/go
COPY --from=bundle /go/pkg/mod/cache/download /proxy
ENV PATH=/usr/local/go/bin GOPROXY=file:///proxy GOTOOLCHAIN=local GOCACHE=/cache GOPATH=/gopath CGO_ENABLED=0
WORKDIR /tmp
WORKDIR /src
COPY go.mod go.sum main.go /src/
RUN ["go", "build", "-o", "/container", "."]
RUN ["/container"]
