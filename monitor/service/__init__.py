"""The running service around the pure steps: what is awaited, sent, timed and watched. Knows no Faust and no HTTP."""
