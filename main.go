// Command duewatch reminds people of their bills before they are due: see
// README.md, and `duewatch help`.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // due dates need their zone, also on a host that has none installed

	"duewatch/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
