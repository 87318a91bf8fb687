package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func dockerfileCommand() *cli.Command {
	return &cli.Command{
		Name:      "dockerfile",
		Usage:     "print a Dockerfile that builds with a bundle and no network",
		ArgsUsage: "REF",
		Description: "goferry dockerfile --key release.pub harbor.corp/go/app:v3 > Dockerfile\n" +
			"goferry dockerfile --style copy --base debian:12 harbor.corp/go/app:v3\n\n" +
			"The bundle is named by its digest, so that the build has what was verified. Style from builds in the\n" +
			"bundle's image, copy takes Go and the modules over into another image, and mount uses them there without\n" +
			"a copy, where the builder can mount an image (BuildKit, buildah, podman). The program is put into an\n" +
			"image of its own.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "style", Value: "from", Usage: "use the bundle by `from|copy|mount`"},
			&cli.StringFlag{Name: "base", Value: "debian:12", Usage: "build on top of `IMAGE`, with style copy or mount"},
			progressFlag(),
		}, trustFlags(), registryFlags()),
		Action: printDockerfile,
	}
}

func printDockerfile(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	template, ok := dockerfiles[c.String("style")]
	if !ok {
		return usagef("unknown style %q: it is from, copy or mount", c.String("style"))
	}
	j, err := beginFormat(c, []string{""}, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	if j.places[0].Transport != oci.TransportRegistry {
		return withHint(usagef("%q: a Dockerfile names an image in a registry", args[0]), "copy it there with \"goferry push %s HOST/REPO:TAG\"", args[0])
	}
	believe, _, err := trust(c)
	if err != nil {
		return err
	}
	verified, store, err := j.verify(c.Context, believe, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	config, err := verified.ImageConfig(c.Context, verified.Platforms[0])
	if err != nil {
		return withHint(err, "pack it with --layer-budget %d, or use it with \"goferry unpack\" or \"goferry serve\"", bundle.MaxImageLayers)
	}
	if config.Labels[bundle.AnnotationToolchain] == "" {
		return withHint(fmt.Errorf("%s has no toolchain: there is no Go in its image", args[0]), "pack it without --toolchain none")
	}
	_, err = strings.NewReplacer(
		"{bundle}", repository(j.places[0])+"@"+verified.Index.Digest.String(), "{name}", args[0],
		"{base}", c.String("base"), "{env}", dockerEnv(config.Env, ""), "{mounted}", dockerEnv(config.Env, mountPoint),
	).WriteString(c.App.Writer, template)
	return err
}

// mountPoint is where style mount has the bundle's image.
const mountPoint = "/goferry"

// dockerEnv returns ENV's words for what an image's environment says of Go, where the image is at root.
func dockerEnv(env []string, root string) string {
	words := []string{"PATH=" + root + "/go/bin:" + root + "/usr/local/go/bin:$PATH"}
	for _, e := range env {
		if strings.HasPrefix(e, "GO") {
			words = append(words, strings.Replace(e, "GOPROXY=file://", "GOPROXY=file://"+root, 1))
		}
	}
	return strings.Join(words, " \\\n    ")
}

// dockerfiles are the Dockerfiles, by style. RUN lines need no shell, as the bundle's image has none.
var dockerfiles = map[string]string{
	"from": `# docker build --network none .
# {name}
FROM {bundle} AS build
ENV CGO_ENABLED=0
WORKDIR /src
COPY . .
RUN ["go", "build", "-trimpath", "-o", "/out/", "./..."]

FROM scratch
COPY --from=build /out/ /bin/
`,
	"mount": `# docker build --network none .
# {name}
FROM {bundle} AS bundle

FROM {base} AS build
ENV {mounted} \
    CGO_ENABLED=0
WORKDIR /src
COPY . .
RUN --mount=type=bind,from=bundle,target=/goferry ["/goferry/usr/local/go/bin/go", "build", "-trimpath", "-o", "/out/", "./..."]

FROM scratch
COPY --from=build /out/ /bin/
`,
	"copy": `# docker build --network none .
# {name}
FROM {bundle} AS bundle

FROM {base} AS build
COPY --from=bundle /usr/local/go /usr/local/go
COPY --from=bundle /go /go
ENV {env} \
    CGO_ENABLED=0
WORKDIR /src
COPY . .
RUN ["go", "build", "-trimpath", "-o", "/out/", "./..."]

FROM scratch
COPY --from=build /out/ /bin/
`,
}
