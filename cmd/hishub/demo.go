package main

import (
	"context"
	"os"

	"hishub/cmd/hishub/demo"
)

type demoCmd struct {
	Once   bool   `help:"End by itself; the exit status says whether everything held."`
	Full   bool   `help:"Use real RabbitMQ and Redis."`
	Listen string `help:"Address of the API and the pages." default:"127.0.0.1:8080"`
	Report string `help:"Folder in which finance's report of the night and the hospital's certificate are left." default:"." type:"existingdir" placeholder:"DIR"`
}

func (demoCmd) Help() string { return "Examples:\n  hishub demo\n  hishub demo --once" }

func (c *demoCmd) Run(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	listen := c.Listen
	if c.Once {
		listen = "127.0.0.1:0" // nobody comes to look
	}
	return demo.Run(ctx, demo.Options{Binary: binary, Once: c.Once, Full: c.Full, Listen: listen, Folder: c.Report, Out: os.Stdout})
}
