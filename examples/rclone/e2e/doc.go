// Package e2e has only tests: this plugin, driven by the real dfget, against real servers.
package e2e
