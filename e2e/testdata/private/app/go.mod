module git.corp.test/team/app

go 1.24.0

require (
	git.corp.test/team/lib.git v1.2.0
	github.com/spf13/cobra v1.9.1
)
