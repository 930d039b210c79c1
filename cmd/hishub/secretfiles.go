package main

import (
	"fmt"
	"os"
	"strings"
)

// secretVariables may be given as files, as containers have them: DATABASE_URL_FILE
// names the file that holds what DATABASE_URL would.
var secretVariables = []string{"DATABASE_URL", "AMQP_URL", "REDIS_URL", "HISHUB_MAIL_PASSWORD", "HISHUB_HUB_KEY"}

// readSecretFiles puts them into this process's environment; a variable that is set
// itself wins.
func readSecretFiles() error {
	for _, name := range secretVariables {
		file := os.Getenv(name + "_FILE")
		if file == "" || os.Getenv(name) != "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(text))); err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
	}
	return nil
}
