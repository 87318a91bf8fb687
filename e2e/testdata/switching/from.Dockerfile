ARG BUNDLE
FROM ${BUNDLE}
RUN ["/usr/local/go/bin/go", "version"]
WORKDIR /src
COPY go.mod go.sum main.go /src/
RUN ["go", "build", "-o", "/switching", "."]
RUN ["/switching", "go1.26.8"]
