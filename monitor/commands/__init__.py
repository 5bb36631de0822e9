"""The commands, one module each; `monitor.cli` lists them."""
