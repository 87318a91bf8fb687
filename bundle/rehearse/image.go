package rehearse

import (
	"context"
	"os"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

// imageProject is where in the image the project is.
const imageProject = "/src"

// imageEnv returns the environment of a container of the bundle's image for the platform.
func imageEnv(ctx context.Context, v *bundle.Verified, platform gomod.Platform) ([]string, error) {
	for _, p := range v.Platforms {
		if p.Platform == platform {
			config, err := v.ImageConfig(ctx, p)
			return config.Env, err
		}
	}
	return nil, nil // Unpack says what is wrong
}

// layImage makes the image's file system of what was unpacked. The mount points are there already.
func (r *Rehearsal) layImage() error {
	for _, name := range []string{"usr/local", "go/pkg", "proc", "dev", imageProject} {
		if err := os.MkdirAll(r.path(dirImage, name), 0o755); err != nil {
			return err
		}
	}
	for _, name := range devices {
		if err := os.WriteFile(r.path(dirImage, name), nil, 0o644); err != nil {
			return err
		}
	}
	tmp := r.path(dirImage, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		return err
	}
	for from, to := range map[string]string{"go": "usr/local/go", "mod": "go/pkg/mod"} {
		err := os.Rename(r.path(dirSite, "current", from), r.path(dirImage, to))
		if err != nil && !os.IsNotExist(err) { // a bundle need not have both
			return err
		}
	}
	return nil
}

// devices are what programs expect to be in /dev.
var devices = []string{"dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty"}
