ARG BUNDLE
FROM ${BUNDLE}
WORKDIR /src
COPY go.mod go.sum main.go /src/
RUN ["go", "build", "-o", "/container", "."]
RUN ["/container"]
