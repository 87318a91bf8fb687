package bundle

import "fmt"

// ProxyEnv returns the lines that make a shell's go command use a module proxy that serves bundles, with the values
// of GOSUMDB and GONOSUMDB that go with it.
func ProxyEnv(goproxy, sumDB, noSumDB string, shell Shell) (string, error) {
	lines := ""
	for _, v := range [][2]string{{"GOPROXY", goproxy}, {"GOSUMDB", sumDB}, {"GONOSUMDB", noSumDB}, {"GONOPROXY", "none"}} {
		switch shell {
		case Sh:
			lines += fmt.Sprintf("export %s=%s\n", v[0], quoteSh(v[1]))
		case Fish:
			lines += fmt.Sprintf("set -gx %s %s\n", v[0], quoteFish(v[1]))
		case PowerShell:
			lines += fmt.Sprintf("$env:%s = %s\n", v[0], quotePowerShell(v[1]))
		default:
			return "", fmt.Errorf("shell %q: want %s, %s or %s", shell, Sh, Fish, PowerShell)
		}
	}
	return lines, nil
}
