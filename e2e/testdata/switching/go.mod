module example.com/switching

go 1.22.0

toolchain go1.26.8

require github.com/BurntSushi/toml v1.6.0
