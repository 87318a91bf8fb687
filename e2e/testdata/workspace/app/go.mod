module example.com/app

go 1.26.0

require (
	example.com/greet v0.0.0
	example.com/lib v0.0.0
	github.com/BurntSushi/toml v1.6.0
	rsc.io/quote v1.5.1
)

require (
	golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c // indirect
	rsc.io/sampler v1.3.0 // indirect
)

replace example.com/greet => ../greet

replace example.com/lib => ../lib

replace rsc.io/quote v1.5.1 => rsc.io/quote v1.5.2
