"""What it takes to run the monitor. A package only so that `python -m deploy.prometheus.build` runs from the root."""
