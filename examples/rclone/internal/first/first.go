// Package first runs before rclone: Go initialises packages in the order of their import paths, as far as imports
// allow, and this one imports next to nothing.
//
// When rclone's package config is initialised and finds no configuration file, it makes a directory for one in the
// user's home, unless the variable RCLONE_CONFIG is set. A plugin that only reads has no business there.
package first

import "os"

const variable = "RCLONE_CONFIG"

// Config is what the user set RCLONE_CONFIG to, if the host passes it on.
var Config = os.Getenv(variable)

func init() {
	if Config == "" {
		_ = os.Setenv(variable, os.DevNull)
	}
}
