module example.com/lib

go 1.26.0

require github.com/BurntSushi/toml v1.4.0
