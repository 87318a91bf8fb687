package main

import "testing"

func TestVolumeSize(t *testing.T) {
	for text, want := range map[string]int64{
		"4.4GB":   4_400_000_000,
		"700MiB":  700 << 20,
		"1 gib":   1 << 30,
		"2TB":     2_000_000_000_000,
		"5000KB":  5_000_000,
		"123456B": 123456,
		"dvd":     4_700_372_992,
		"CD":      737_280_000,
		"":        0, "GB": 0, "4.4": 0, "-1GB": 0, "NaN GB": 0, "Inf GB": 0, "0x1GB": 0, "1e40GB": 0, "0MB": 0, "4,4GB": 0, "1e3MB": 1_000_000_000,
	} {
		got, err := volumeSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("volumeSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}
