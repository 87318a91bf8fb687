ARG BUNDLE
FROM --platform=linux/amd64 ${BUNDLE} AS build
ARG TARGETOS
ARG TARGETARCH
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
WORKDIR /src
COPY go.mod go.sum main.go /src/
RUN ["go", "build", "-trimpath", "-o", "/out/container", "."]

FROM scratch
COPY --from=build /out/ /bin/
