package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goferry/goferry/bundle/sumdb"
)

// checkSumDB lets the checksum database's client prove the record's sums from what the bundle
// carries, as go commands do it on the isolated side: a fresh one, and one that has seen an
// earlier tree head. What none of them asks for does not belong there.
func (r *Record) checkSumDB(files map[string][]byte) error {
	if r.SumDB == "" {
		return nil
	}
	name, key, err := sumdb.VerifierKey(r.SumDB)
	if err != nil {
		return err
	}
	for _, t := range r.Toolchains {
		if t.NoSumDB { // no setting of the go command's does that
			return fmt.Errorf("checksum database: %s is taken out of it", t)
		}
	}
	dir := downloadDir + "sumdb/" + name + "/"
	var asked sync.Map
	read := func(name string) ([]byte, error) {
		asked.Store(dir+name, true)
		return readSumDB(files, dir)(name)
	}
	if mods := r.inSumDB(); len(mods) > 0 {
		if supported, err := read("supported"); err != nil || len(supported) > 0 {
			return errors.Join(err, errors.New("checksum database: the file supported is to be there, and empty"))
		}
		if err := errors.Join(sumdb.Check(read, key, mods), r.checkTreeHeads(read, key)); err != nil {
			return err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, ok := strings.CutPrefix(file, dir)
		if _, wanted := asked.Load(file); ok && !wanted {
			return fmt.Errorf("checksum database: %s proves nothing", name)
		}
		if strings.HasPrefix(name, "lookup/") && !bytes.HasSuffix(files[file], files[dir+"latest"]) {
			return fmt.Errorf("checksum database: %s is not under the bundle's tree head", name)
		}
	}
	return nil
}

// inSumDB returns what the checksum database has to confirm.
func (r *Record) inSumDB() (mods []sumdb.Expect) {
	for _, m := range slices.Concat(r.Modules, r.Toolchains, r.ToolModules) {
		if !m.NoSumDB && (m.Sum != "" || m.GoModSum != "") {
			mods = append(mods, sumdb.Expect{Path: m.Path, Version: m.Version, Sum: m.Sum, ModSum: m.GoModSum})
		}
	}
	return mods
}

// checkTreeHeads proves that a go command goes on from each earlier tree head to the bundle's own.
func (r *Record) checkTreeHeads(read func(string) ([]byte, error), key string) error {
	latest, err := read("latest")
	if err != nil {
		return err
	}
	if err := r.sizeTreeHeads(latest, key); err != nil {
		return err
	}
	for i, size := range r.treeHeads[1:] {
		if size <= r.treeHeads[i] {
			return fmt.Errorf("checksum database: the bundle's tree heads are not sorted: %d is before %d", r.treeHeads[i], size)
		}
	}
	for _, earlier := range r.TreeHeads {
		if err := sumdb.Connect(read, key, [][]byte{[]byte(earlier), latest}); err != nil {
			return err
		}
	}
	return nil
}

// sizeTreeHeads checks the signatures of the earlier tree heads and of the bundle's own, latest,
// and notes how large their trees are.
func (r *Record) sizeTreeHeads(latest []byte, key string) error {
	r.treeHeads = nil
	for _, head := range append(slices.Clone(r.TreeHeads), string(latest)) {
		size, err := sumdb.HeadSize([]byte(head), key)
		if err != nil {
			return fmt.Errorf("checksum database: %w", err)
		}
		r.treeHeads = append(r.treeHeads, size)
	}
	return nil
}

// annotateTreeHeads adds to what the documents of a bundle say the sizes of its tree heads.
func (r *Record) annotateTreeHeads(a map[string]string) {
	var sizes []string
	for _, size := range r.treeHeads {
		sizes = append(sizes, strconv.FormatInt(size, 10))
	}
	if last := len(sizes) - 1; last >= 0 {
		a[AnnotationTreeHead], a[AnnotationEarlierHeads] = sizes[last], strings.Join(sizes[:last], ",")
	}
}

// checkAnnotations holds what the index says of its content, if it does, against what was proven.
func (v *Verified) checkAnnotations(r *Record) error {
	proven := r.annotations()
	for _, key := range []string{AnnotationScope, AnnotationModules, AnnotationToolchain, AnnotationTools, AnnotationSumDB, AnnotationCgo, AnnotationTreeHead, AnnotationEarlierHeads} {
		if said, ok := v.annotations[key]; ok && said != proven[key] {
			return fmt.Errorf("the index has the annotation %s=%q, proven is %q", key, said, proven[key])
		}
	}
	return nil
}

// TreeHeads returns the signed tree heads of the checksum database that the bundle has: those that
// go commands may have seen before, by size, and last its own. None if it has no database. They are
// proven by whoever packs with them, and by Check.
func (v *Verified) TreeHeads(ctx context.Context) ([][]byte, error) {
	record, files, err := v.openGraph(ctx)
	if err != nil {
		return nil, err
	}
	latest := files[downloadDir+"sumdb/"+record.sumDBName()+"/latest"]
	if latest == nil {
		return nil, nil
	}
	var heads [][]byte
	for _, head := range record.TreeHeads {
		heads = append(heads, []byte(head))
	}
	return append(heads, latest), nil
}
