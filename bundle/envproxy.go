package bundle

// ProxyEnv returns the lines that make a shell's go command use a module proxy that serves bundles, with the values
// of GOSUMDB and GONOSUMDB that go with it.
func ProxyEnv(goproxy, sumDB, noSumDB string, shell Shell) (string, error) {
	lines := ""
	for _, v := range [][2]string{{"GOPROXY", goproxy}, {"GOSUMDB", sumDB}, {"GONOSUMDB", noSumDB}, {"GONOPROXY", "none"}} {
		line, err := shell.assign(v[0], v[1])
		if err != nil {
			return "", err
		}
		lines += line
	}
	return lines, nil
}
