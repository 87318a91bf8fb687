package bundle

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
)

// ErrLayerBudget is a layer budget that is too small for what is packed.
var ErrLayerBudget = errors.New("layer budget")

// leastLayers is how many layers a manifest has that are not for modules, and one more for all modules together.
func (p *packer) leastLayers() int {
	n := 1 // the graph
	for _, list := range []int{len(p.captured.Toolchains), len(p.captured.Tools)} {
		n += list / len(p.platforms()) // as many on each platform
	}
	return n + min(1, len(p.captured.Modules))
}

// checkBudget fails where the layer budget cannot be kept.
func (p *packer) checkBudget() error {
	if least := p.leastLayers(); p.opts.LayerBudget > 0 && p.opts.LayerBudget < least {
		return fmt.Errorf("pack: %w of %d: this bundle has at least %d layers", ErrLayerBudget, p.opts.LayerBudget, least)
	}
	return nil
}

// groups says which modules are put into one layer, by their places in the list, which is sorted, and so is each group,
// and the groups by their first. Without a layer budget, and within it, each module has a layer of its own.
func (p *packer) groups(modules []gomod.Module) [][]int {
	if n := p.opts.LayerBudget - p.leastLayers() + 1; p.opts.LayerBudget > 0 && n < len(modules) {
		return groupModules(modules, n)
	}
	var alone [][]int
	for i := range modules {
		alone = append(alone, []int{i})
	}
	return alone
}

// groupModules puts modules into at most n layers, so that a bundle with other versions of a few of them has mostly the
// same layers. The larger half of the layers, rounded down, have one module each: those of the highest powers of two in
// size. The other modules are spread over the other layers by their repository, as modules of one repository change
// together. So what changes when a module gets another version is its layer and no other, unless it crosses a power of
// two and thereby the line between those alone and the others: then it leaves one group and another module comes to one,
// which makes three layers at most. A module that is added or removed may move the line as well.
func groupModules(modules []gomod.Module, n int) [][]int {
	order := make([]int, len(modules))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(bits.Len64(uint64(modules[b].Size)), bits.Len64(uint64(modules[a].Size)))
	})
	var groups [][]int
	for _, i := range order[:n/2] {
		groups = append(groups, []int{i})
	}
	shared := make([][]int, n-n/2)
	for _, i := range order[n/2:] {
		g := chooseGroup(repository(modules[i].Path), len(shared))
		shared[g] = append(shared[g], i)
	}
	for _, g := range shared {
		if slices.Sort(g); len(g) > 0 {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return groups
}

// chooseGroup chooses one of n groups: that with which the name has the highest hash, so that another n moves few names.
func chooseGroup(name string, n int) (chosen int) {
	var highest string
	for g := range n {
		h := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, g))
		if hash := string(h[:]); hash > highest {
			chosen, highest = g, hash
		}
	}
	return chosen
}

// ownedHosts are those where a repository has an owner in its name.
var ownedHosts = []string{"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com"}

// repository is the beginning of a module's path that the modules of its repository have alike, as far as the path tells,
// whatever their major version is.
func repository(path string) string {
	if prefix, _, ok := module.SplitPathVersion(path); ok {
		path = prefix
	}
	elements := strings.Split(path, "/")
	n := 2
	if slices.Contains(ownedHosts, elements[0]) {
		n = 3
	}
	return strings.Join(elements[:min(n, len(elements))], "/")
}
