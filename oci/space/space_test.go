package space

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

func TestFits(t *testing.T) {
	unknown := free{bytes: -1, files: -1}
	for _, test := range []struct {
		name string
		need Need
		has  free
		want *Error
	}{
		{"nothing is known", Need{1 << 60, 1 << 40, 1 << 60}, unknown, nil},
		{"as much as there is", Need{1000, 10, 1000}, free{bytes: 1000, files: 10}, nil},
		{"a byte more", Need{1001, 10, 1001}, free{bytes: 1000, files: 10}, &Error{"d", Bytes, 1001, 1000}},
		{"a file more", Need{1000, 11, 1000}, free{bytes: 1000, files: 10}, &Error{"d", Files, 11, 10}},
		{"nothing needed of a full disk", Need{}, free{}, nil},
		{"the largest file of FAT", Need{1 << 33, 3, 1<<32 - 1}, free{bytes: 1 << 40, files: -1, fat: true}, nil},
		{"a byte larger", Need{1 << 33, 3, 1 << 32}, free{bytes: 1 << 40, files: -1, fat: true}, &Error{"d", FileSize, 1 << 32, fatLimit}},
		{"as large on another disk", Need{1 << 33, 3, 1 << 32}, free{bytes: 1 << 40, files: -1}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := fits("d", test.need, test.has)
			var got *Error
			if errors.As(err, &got) != (test.want != nil) || test.want != nil && *got != *test.want {
				t.Errorf("fits(%+v, %+v) = %v, want %v", test.need, test.has, err, test.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	if err := Check(dir, Need{Bytes: 1, Files: 1, Largest: 1}); err != nil {
		t.Errorf("Check of a byte = %v", err)
	}
	err := Check(dir, Need{Bytes: 1 << 62, Files: 1, Largest: 1})
	var full *Error
	if !errors.As(err, &full) || full.Path != dir || full.Needed != 1<<62 || full.Free <= 0 || !Full(err) || TooLarge(err) {
		t.Errorf("Check of 4 EiB = %v", err)
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"/d: not enough space: at least 12.3 MB (12345678 bytes) are needed, 999 bytes are free":                                                {"/d", Bytes, 12345678, 999},
		"/d: no room for so many files: at least 7 are to be made, 5 can be":                                                                    {"/d", Files, 7, 5},
		"/d: the file system is FAT, where a file has at most 4.3 GB (4294967295 bytes), and one of 5.0 GB (5000000000 bytes) is to be written": {"/d", FileSize, 5e9, fatLimit},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
}

func TestFull(t *testing.T) {
	for _, test := range []struct {
		err             error
		isFull, isLarge bool
	}{
		{nil, false, false},
		{errors.New("no space left on device"), false, false},
		{fmt.Errorf("write: %w", full[0]), true, false},
		{fmt.Errorf("write: %w", tooLarge[0]), true, true},
		{&Error{Kind: Files}, true, false},
		{fmt.Errorf("write: %w", &Error{Kind: FileSize}), true, true},
	} {
		if f, l := Full(test.err), TooLarge(test.err); f != test.isFull || l != test.isLarge {
			t.Errorf("Full(%v), TooLarge = %v, %v, want %v, %v", test.err, f, l, test.isFull, test.isLarge)
		}
	}
}
