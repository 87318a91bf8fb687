module git.corp.test/team/lib.git

go 1.24.0

require github.com/BurntSushi/toml v1.5.0
