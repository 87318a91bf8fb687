module example.com/app

go 1.26.0

toolchain go1.26.8

require github.com/BurntSushi/toml v1.6.0
