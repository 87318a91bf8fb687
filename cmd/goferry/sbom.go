package main

import (
	"slices"

	"github.com/urfave/cli/v2"
)

func sbomCommand() *cli.Command {
	return &cli.Command{
		Name:      "sbom",
		Usage:     "print a bundle's bill of materials",
		ArgsUsage: "REF",
		Description: "goferry sbom oci:bundle > bundle.cdx.json\n" +
			"goferry sbom --key release.pub --format spdx harbor.corp/go/app:v3\n\n" +
			"Every module and toolchain is listed with its package URL and its h1: sum. With --key the bundle\n" +
			"has to be signed by one of the keys. That its layers have these sums is for \"goferry verify\".",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "format", Value: "cyclonedx", Usage: "print JSON as `cyclonedx|spdx` has it"},
			progressFlag(),
		}, trustFlags(), registryFlags()),
		Action: printSBOM,
	}
}

func printSBOM(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	j, err := beginFormat(c, []string{"cyclonedx", "spdx"}, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	believe, _, err := trust(c)
	if err != nil {
		return err
	}
	verified, store, err := j.verify(c.Context, believe, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	content, err := verified.SBOM(c.Context)
	j.show.close()
	if err != nil {
		return j.explain(err)
	}
	if c.String("format") == "spdx" {
		return content.WriteSPDX(c.App.Writer)
	}
	return content.WriteCycloneDX(c.App.Writer)
}
